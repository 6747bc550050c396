// The files a new filter begins with: small enough to be read at once, and already a filter that does something.

/** Where the settings for editors are in a project that has Sluice installed. */
const INSTALLED = "sluice/sdk/tsconfig.filter.json"

export interface NewFilterOptions {
  /** What its tsconfig.json is to say; default: it extends that of the installed package. */
  readonly tsconfig?: object
  /** Its folder, as a configuration beside names it. */
  readonly path?: string
}

/** File names and contents. `name`: lower-case letters, digits and "-". */
export function newFilter(name: string, options: NewFilterOptions = {}): Readonly<Record<string, string>> {
  const { tsconfig = { extends: INSTALLED }, path = `./${name}` } = options
  return {
    "filter.ts": source(name),
    "filter.json": `${JSON.stringify(manifest(name), null, 2)}\n`,
    "tests.json": `${JSON.stringify(tests(name), null, 2)}\n`,
    "README.md": readme(name, path),
    "tsconfig.json": `${JSON.stringify({ ...tsconfig, include: ["*.ts"] }, null, 2)}\n`,
  }
}

function source(name: string): string {
  return `// ${name}: greets every request, and turns robots away. Written in AssemblyScript, which reads like TypeScript.
import { Config, log, Reply, Request, Response } from "sluice/sdk"

let header = "x-greeting"

// Called once, with the \`config:\` of the filter. What fails here is refused, and the gateway keeps what it had.
export function configure(config: Config): void {
  header = config.string("header", header)
}

// Called when a request's headers are here. A Reply answers at once; null lets the request go on.
export function onRequest(request: Request): Reply | null {
  const agent = request.headers.get("user-agent")
  if (agent !== null && agent.includes("robot")) {
    log.info("turned away " + agent)
    return new Reply(403, "no robots\\n")
  }
  request.headers.set(header, "hello from ${name}")
  return null
}

// Called when the response's headers are here.
export function onResponse(response: Response): void {
  response.headers.set("x-filtered-by", "${name}")
}
`
}

function manifest(name: string): object {
  return {
    name,
    version: "0.1.0",
    description: "Greets every request, and turns robots away.",
    module: "filter.ts",
    permissions: {
      services: [],
      headers: { read: ["user-agent"], write: "*" },
      shared: [],
      hostCalls: "*",
    },
    configSchema: {
      type: "object",
      properties: { header: { type: "string", description: "Header that carries the greeting.", default: "x-greeting" } },
    },
  }
}

function tests(name: string): object {
  return {
    cases: [
      {
        name: "greets the service",
        bench: true,
        request: { path: "/", headers: { "user-agent": "curl/8" } },
        upstream: { status: 200, body: "hi" },
        expect: {
          upstream: { path: "/", headers: { "x-greeting": `hello from ${name}` } },
          response: { status: 200, headers: { "x-filtered-by": name }, body: "hi" },
        },
      },
      {
        name: "greets in the header it is told",
        config: { header: "x-hello" },
        request: { path: "/" },
        expect: { upstream: { headers: { "x-hello": { contains: name }, "x-greeting": null } } },
      },
      {
        name: "turns robots away",
        request: { path: "/", headers: { "user-agent": "robot/1.0" } },
        expect: {
          upstream: null,
          reply: true,
          response: { status: 403, body: "no robots\n" },
          logs: [{ level: "info", contains: "robot/1.0" }],
        },
      },
    ],
  }
}

function readme(name: string, path: string): string {
  return `# ${name}

Greets every request, and turns robots away.

\`\`\`yaml
filters:
  ${name}:
    module: ${path}/filter.ts
    config: { header: x-greeting }
routes:
  - { filters: [${name}], backends: hello }
\`\`\`

| setting | default | |
|---|---|---|
| \`header\` | \`x-greeting\` | the header that carries the greeting |

What it does, by phase:

- **request headers**: a \`user-agent\` with "robot" in it is answered 403; any other request gets the greeting.
- **response headers**: \`x-filtered-by\` is set.

\`\`\`sh
sluice filter test .          # its tests, from this folder; --watch runs them at every save
sluice filter bench .         # what it costs, in nanoseconds and budget
sluice filter build filter.ts # the module, for anything that runs Proxy-Wasm
\`\`\`
`
}
