// What no single value shows: names used twice, references to nothing, settings that contradict each other. Runs on what is
// valid of a document, so that these errors are shown together with those of its parts.

import { statSync } from "node:fs"
import { resolve } from "node:path"
import { checkAdmin } from "./check-admin.ts"
import { checkFailover, checkSubsets } from "./check-balancing.ts"
import { checkCanary } from "./check-canary.ts"
import { checkDiscovery } from "./check-discovery.ts"
import { checkServiceHealth } from "./check-health.ts"
import { checkPriority, checkServiceLimits } from "./check-limits.ts"
import { checkServiceRateLimits, checkSharedRateLimits } from "./check-rate-limits.ts"
import { checkShaping } from "./check-shaping.ts"
import { checkListenerTls, checkServiceTls, type Reporter } from "./check-tls.ts"
import { checkTracing } from "./check-tracing.ts"
import type { Checked } from "./checked.ts"
import { checkConnectionBackends, checkRouteProxy, checkServerNames, checkServiceProxy } from "./connection-checks.ts"
import { FAILED, isKnown, type Salvaged } from "./issues.ts"
import type { MatchConfig } from "./model.ts"
import { didYouMean, type Path } from "./problem.ts"
import type { Written, WrittenFilter, WrittenListener, WrittenRoute } from "./schema.ts"
import type { Finding } from "./source.ts"
import { formatAddress, isUrl, quote } from "./units.ts"

type WrittenVersion = NonNullable<WrittenFilter["versions"]>[number]

const onlyHttp = (protocol: string): string => `belongs to http listeners, for a ${protocol} listener reads no requests; leave it out`
const ONLY_DETECTING = "belongs to tls and auto listeners, for others have nothing to find out; leave it out"
const HTTP_KEYS = [
  ["limits", ["requestLine", "head", "fields", "body", "streams"]],
  ["timeouts", ["head", "halfClose", "tunnelIdle"]],
] as const

export function listenerName(name: string | undefined, index: number): string {
  return name ?? `listener-${index}`
}

export function routeName(name: string | undefined, index: number): string {
  return name ?? `route-${index}`
}

export function versionName(name: string | undefined, index: number): string {
  return name ?? (index === 0 ? "stable" : index === 1 ? "canary" : `canary-${index}`)
}

/** `written` may hold {@link FAILED} anywhere. `baseDir`: modules are relative to it. */
export function check(written: Written, baseDir: string): Checked {
  const checker = new Checker(written)
  checker.listeners(baseDir)
  checker.services(baseDir)
  checker.filters(baseDir)
  checker.routes()
  if (isKnown(written.admin) && written.admin !== false) checkAdmin(written.admin, baseDir, checker)
  checkSharedRateLimits(written, baseDir, process.env, checker)
  checkTracing(written, process.env, checker)
  return checker
}

class Checker implements Checked, Reporter {
  readonly errors: Finding[] = []
  readonly warnings: Finding[] = []
  readonly #written: Written
  readonly #listenerNames = new Set<string>()
  /** Those of {@link #listenerNames} that carry no requests. */
  readonly #tcpNames = new Set<string>()
  /** Some listener has requests for routes. */
  #requests = false
  readonly #filterNames: ReadonlySet<string> | undefined
  readonly #serviceNames: ReadonlySet<string> | undefined
  /** Every listener merges slashes, so that a path with two in a row is never seen. */
  #merging = true

  constructor(written: Written) {
    this.#written = written
    this.#filterNames = isKnown(written.filters) ? new Set(Object.keys(written.filters)) : undefined
    this.#serviceNames = isKnown(written.services) ? new Set(Object.keys(written.services)) : undefined
  }

  error(path: Path, message: Finding["message"], at: Finding["at"] = "value"): void {
    this.errors.push({ path, at, message })
  }

  warn(path: Path, message: Finding["message"], at: Finding["at"] = "value"): void {
    this.warnings.push({ path, at, message })
  }

  listeners(baseDir: string): void {
    const { listeners, admin } = this.#written
    if (!isKnown(listeners)) return
    const addresses = new Map<string, string>()
    if (isKnown(admin) && admin !== false && isKnown(admin.address) && "port" in admin.address && admin.address.port !== 0)
      addresses.set(formatAddress(admin.address), "admin")
    const names = new Map<string, number>()
    for (let i = 0; i < listeners.length; i++) {
      const listener = listeners[i]
      if (!isKnown(listener)) continue
      if ((listener.name as unknown) !== FAILED) {
        const name = listenerName(listener.name, i)
        const first = names.get(name)
        if (first !== undefined)
          this.error(["listeners", i, "name"], `${quote(name)} is the name of listeners[${first}] too; write another one`)
        else names.set(name, i)
        this.#listenerNames.add(name)
        if (listener.protocol === "tcp" || listener.protocol === "tls") this.#tcpNames.add(name)
      }
      checkListenerTls(listener, i, baseDir, this)
      if (listener.protocol === "tcp" || listener.protocol === "tls" || listener.protocol === "auto") this.#tcp(listener, i)
      else if ((listener.protocol as unknown) !== FAILED) this.#http(listener, i)
      if (listener.protocol !== "tcp" && listener.protocol !== "tls") this.#requests = true
      if (isKnown(listener.path) && listener.path.mergeSlashes === false) this.#merging = false
      if (!isKnown(listener.address) || listener.address.port === 0) continue
      const shown = formatAddress(listener.address)
      const taken = addresses.get(shown)
      if (taken !== undefined) this.error(["listeners", i, "address"], `${shown} is the address of ${taken} too; write another one`)
      else addresses.set(shown, `listeners[${i}]`)
    }
  }

  #http(listener: WrittenListener, i: number): void {
    if (listener.serverNames !== undefined)
      this.error(
        ["listeners", i, "serverNames"],
        "belongs to tls and auto listeners, for requests have hosts; write hosts in a route",
        "key",
      )
    if (isKnown(listener.timeouts) && listener.timeouts.detect !== undefined)
      this.error(["listeners", i, "timeouts", "detect"], ONLY_DETECTING, "key")
    for (const key of ["backends", "filters", "tracing"] as const) {
      if (listener[key] === undefined) continue
      this.error(
        ["listeners", i, key],
        `belongs to tcp, tls and auto listeners; write it in a route, such as routes: [{ listeners: ${isKnown(listener.name) ? listener.name : listenerName(undefined, i)}, ${key}: … }], or write protocol: tcp`,
        "key",
      )
    }
  }

  #tcp(listener: WrittenListener, i: number): void {
    const path: Path = ["listeners", i]
    const { backends, filters, protocol, serverNames, timeouts } = listener
    if (protocol !== "auto") {
      const wrong = onlyHttp(protocol)
      for (const key of ["rateLimit", "trustedHops", "path"] as const)
        if (listener[key] !== undefined) this.error([...path, key], wrong, "key")
      for (const [section, keys] of HTTP_KEYS) {
        const given: Salvaged<Readonly<Record<string, unknown>>> = listener[section]
        if (isKnown(given)) for (const key of keys) if (given[key] !== undefined) this.error([...path, section, key], wrong, "key")
      }
    }
    if (protocol === "tcp" && isKnown(timeouts) && timeouts.detect !== undefined)
      this.error([...path, "timeouts", "detect"], ONLY_DETECTING, "key")
    if (backends === undefined && protocol === "tcp")
      this.error(path, "has no backends; write the service its connections go to, such as backends: db")
    else if (backends === undefined && protocol === "tls" && serverNames === undefined)
      this.error(path, "has neither serverNames nor backends; write where its connections go, such as backends: db")
    if (serverNames !== undefined && protocol === "tcp")
      this.error(
        [...path, "serverNames"],
        "belongs to tls and auto listeners, for a tcp listener reads no names; write protocol: tls, or leave it out",
        "key",
      )
    if (isKnown(backends)) checkConnectionBackends(backends, [...path, "backends"], this.#serviceNames, this)
    if (isKnown(serverNames)) checkServerNames(serverNames, [...path, "serverNames"], this.#serviceNames, this)
    if (isKnown(filters)) this.#filterUses(filters, [...path, "filters"])
  }

  #filterUses(uses: readonly { readonly use: string }[], path: Path): void {
    const filters = this.#filterNames
    if (filters === undefined) return
    uses.forEach(({ use }, j) => {
      if (!filters.has(use))
        this.error([...path, j], () => `there is no filter ${quote(use)}${didYouMean(use, filters) || "; add it to filters"}`)
    })
  }

  services(baseDir: string): void {
    const { services } = this.#written
    if (!isKnown(services)) return
    for (const [name, service] of Object.entries(services)) {
      if (isKnown(service) && isKnown(service.tls) && service.tls !== true)
        checkServiceTls(["services", name, "tls"], service.tls, baseDir, this)
      if (isKnown(service)) checkServiceRateLimits(service.rateLimit, name, this)
      if (isKnown(service)) checkServiceProxy(service, ["services", name], this)
      if (isKnown(service)) checkFailover(name, service, services, this)
      if (isKnown(service)) checkDiscovery(service, ["services", name], baseDir, this)
      if (isKnown(service)) checkServiceLimits(service, ["services", name], this)
      if (isKnown(service) && isKnown(service.endpoints) && service.endpoints.length === 0) {
        this.warn(
          ["services", name, "endpoints"],
          "is empty, so requests for this service are answered with 503; write at least one host:port",
        )
      }
      if (isKnown(service)) checkServiceHealth(service, ["services", name], this)
    }
  }

  filters(baseDir: string): void {
    const { filters } = this.#written
    if (!isKnown(filters)) return
    for (const [name, filter] of Object.entries(filters)) {
      if (!isKnown(filter)) continue
      const path = ["filters", name]
      if (filter.module !== undefined && filter.versions !== undefined) {
        this.error(
          [...path, "versions"],
          "has module and versions, but a filter has one of them; move module into versions, or leave it out",
          "key",
        )
      } else if (filter.module === undefined && filter.versions === undefined) {
        this.error(path, "has neither module nor versions; write the path of a .ts or .wasm file as its module")
      }
      if (filter.sha256 !== undefined && filter.versions !== undefined)
        this.error([...path, "sha256"], "belongs to a module; write it in the version it is of", "key")
      this.#module(path, filter, baseDir)
      if (isKnown(filter.versions)) this.#versions(path, filter.versions, baseDir)
    }
  }

  #module(path: Path, { module, sha256 }: { module?: Salvaged<string>; sha256?: Salvaged<string> }, baseDir: string): void {
    if (!isKnown(module)) return
    if (isUrl(module)) {
      const wrong = wrongUrl(module)
      if (wrong !== undefined) this.error([...path, "module"], wrong)
      else if (sha256 === undefined)
        this.error([...path, "module"], "is a URL, which is used only with the SHA-256 of what it must hold; write sha256 beside it")
      return
    }
    const wrong = wrongModule(module, baseDir)
    if (wrong !== undefined) this.error([...path, "module"], wrong)
    else if (sha256 !== undefined && module.endsWith(".ts"))
      this.error([...path, "sha256"], "can't be of a .ts file; build it (sluice filter build) and name the .wasm file", "key")
  }

  #versions(path: Path, versions: readonly WrittenVersion[], baseDir: string): void {
    const names = new Map<string, number>()
    for (let i = 0; i < versions.length; i++) {
      const version = versions[i]
      if (!isKnown(version)) continue
      this.#module([...path, "versions", i], version, baseDir)
      if ((version.name as unknown) === FAILED) continue
      const name = versionName(version.name, i)
      const first = names.get(name)
      if (first !== undefined)
        this.error([...path, "versions", i, "name"], `${quote(name)} is the name of versions[${first}] too; write another one`)
      else names.set(name, i)
    }
    if (versions.length > 0 && versions.every((version) => isKnown(version) && version.weight === 0))
      this.error([...path, "versions"], "every weight is 0, so no version would ever run; give one a weight above 0")
  }

  routes(): void {
    const { routes } = this.#written
    if (!isKnown(routes)) return
    if (routes.length === 0 && this.#requests)
      this.warn(["routes"], "there is no route, so every request is answered with 404; write one, such as - backends: NAME", "key")
    const names = new Map<string, number>()
    for (let i = 0; i < routes.length; i++) {
      const route = routes[i]
      if (!isKnown(route)) continue
      if ((route.name as unknown) !== FAILED) {
        const name = routeName(route.name, i)
        const first = names.get(name)
        if (first !== undefined) this.error(["routes", i, "name"], `${quote(name)} is the name of routes[${first}] too; write another one`)
        else names.set(name, i)
      }
      this.#references(route, i)
      this.#action(route, i)
      this.#paths(route, i)
      this.#timeouts(route, i)
      this.#forwardsOnly(route, i)
      checkShaping(route, i, this.#serviceNames, this.#written.services, this)
      checkCanary(route, ["routes", i], this)
      checkPriority(route, ["routes", i], this.#written.overload !== null, this)
    }
  }

  /** Settings that mean nothing where nothing is sent on. */
  #forwardsOnly(route: WrittenRoute, i: number): void {
    if (route.redirect === undefined && route.respond === undefined) return
    for (const key of ["retry", "hedge", "grpcWeb", "sticky", "mirror"] as const) {
      if (!isKnown(route[key]) || route[key] === false) continue
      this.error(["routes", i, key], "belongs to routes with backends, for this one sends nothing on; leave it out", "key")
    }
  }

  #references(route: WrittenRoute, i: number): void {
    if (isKnown(route.listeners) && isKnown(this.#written.listeners)) {
      for (const name of route.listeners) {
        if (this.#tcpNames.has(name)) {
          this.error(
            ["routes", i, "listeners"],
            `${quote(name)} carries connections, and so has no requests to route; write backends and filters in the listener`,
          )
        }
        if (this.#listenerNames.has(name)) continue
        this.error(
          ["routes", i, "listeners"],
          () => `there is no listener ${quote(name)}${didYouMean(name, this.#listenerNames) || "; write the name of one of listeners"}`,
        )
      }
    }
    if (isKnown(route.filters)) this.#filterUses(route.filters, ["routes", i, "filters"])
    const services = this.#serviceNames
    if (isKnown(route.backends)) checkRouteProxy(route.backends, ["routes", i, "backends"], this.#written.services, this)
    if (isKnown(route.backends)) checkSubsets(route.backends, ["routes", i, "backends"], this.#written.services, this)
    if (isKnown(route.backends) && services !== undefined) {
      route.backends.forEach(({ service }, j) => {
        if (services.has(service)) return
        this.warn(
          ["routes", i, "backends", j],
          () =>
            `there is no service ${quote(service)}, so its share of requests is answered with 500${didYouMean(service, services) || "; add it to services"}`,
        )
      })
    }
  }

  #action(route: WrittenRoute, i: number): void {
    const given = (["backends", "redirect", "respond"] as const).filter((key) => route[key] !== undefined)
    if (given.length > 1) {
      this.error(
        ["routes", i, given[1]],
        `has ${given.join(" and ")}, but a route does one of them; keep one, or write a route for each`,
        "key",
      )
    } else if (given.length === 0) {
      this.warn(["routes", i], "has none of backends, redirect and respond, so its requests are answered with 500; write one of them")
    }
    if (isKnown(route.backends)) {
      if (route.backends.length === 0)
        this.warn(["routes", i, "backends"], "is empty, so the route's requests are answered with 500; write the name of a service")
      else if (route.backends.every(({ weight }) => weight === 0))
        this.warn(["routes", i, "backends"], "every weight is 0, so the route's requests are answered with 500; give one a weight above 0")
    }
    if (route.rewrite !== undefined && given.length > 0 && route.backends === undefined) {
      this.error(
        ["routes", i, "rewrite"],
        `a route with ${given[0]} sends nothing on, so there is nothing to rewrite; ${given[0] === "redirect" ? "write prefix, path or host in redirect" : "leave it out"}`,
        "key",
      )
    }
  }

  /** Replacing a prefix needs one in every match. */
  #paths(route: WrittenRoute, i: number): void {
    if ((route.match as unknown) === FAILED) return
    const other = route.match?.find((match) => match.path.kind !== "prefix")
    if (other !== undefined) {
      const remedy = `can't replace a prefix: a match of this route is ${other.path.kind === "exact" ? "an exact path" : "a regular expression"}; write path instead, or match prefixes only`
      if (isKnown(route.rewrite) && route.rewrite.prefix !== undefined) this.error(["routes", i, "rewrite", "prefix"], remedy)
      if (isKnown(route.redirect) && route.redirect.prefix !== undefined) this.error(["routes", i, "redirect", "prefix"], remedy)
      if (isKnown(route.backends)) {
        route.backends.forEach((backend, j) => {
          if ("rewrite" in backend && backend.rewrite?.prefix !== undefined)
            this.error(["routes", i, "backends", j, "rewrite", "prefix"], remedy)
        })
      }
    }
    if (!this.#merging || route.match === undefined) return
    route.match.forEach((match: MatchConfig, j) => {
      if (match.path.kind === "regex" || !match.path.value.includes("//")) return
      this.warn(
        ["routes", i, "match", j, "path"],
        `${quote(match.path.value)} never matches: listeners merge slashes; write one slash, or path: { mergeSlashes: false } in the listener`,
      )
    })
  }

  #timeouts(route: WrittenRoute, i: number): void {
    if (!isKnown(route.timeout)) return
    const { request = 15_000, perTry = 0 } = route.timeout
    if (request > 0 && perTry >= request)
      this.warn(["routes", i, "timeout", "perTry"], "never comes into play, for request ends first; write a shorter one")
  }
}

function wrongUrl(module: string): string | undefined {
  if (!/^https?:/i.test(module) || !URL.canParse(module))
    return `${quote(module)} is not an http or https URL; write one, or the path of a .ts or .wasm file`
  const { username, password } = new URL(module)
  return username === "" && password === "" ? undefined : "holds a user name or password, which would be shown; use a URL without"
}

function wrongModule(module: string, baseDir: string): string | undefined {
  if (module.includes("\0")) return `${quote(module)} is not a path; write the path of a .ts or .wasm file`
  if (!/\.(?:ts|wasm)$/.test(module)) return `${quote(module)} is neither a .ts nor a .wasm file; write the path of one`
  const path = resolve(baseDir, module)
  try {
    if (!statSync(path).isFile()) return `${quote(path)} is not a file; write the path of a .ts or .wasm file`
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return `there is no file ${quote(path)}; paths begin at this file's folder`
    return `${quote(path)} can't be read: ${error instanceof Error ? error.message : String(error)}`
  }
  return undefined
}
