import fs from "node:fs"
const f = fs.readdirSync("/tmp/prof").map(x=>"/tmp/prof/"+x).sort().pop()
const p = JSON.parse(fs.readFileSync(f)); const self = {}
const dt = p.timeDeltas; const byId = new Map(p.nodes.map(n=>[n.id,n]))
let tot=0
p.samples.forEach((s,i)=>{const n=byId.get(s); const k=n.callFrame.functionName+" "+n.callFrame.url.split("/").pop()+":"+n.callFrame.lineNumber; self[k]=(self[k]||0)+dt[i]; tot+=dt[i]})
for (const [k,v] of Object.entries(self).sort((a,b)=>b[1]-a[1]).slice(0,25)) console.log((v/tot*100).toFixed(1)+"%",k)
