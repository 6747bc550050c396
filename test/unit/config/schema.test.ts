import { describe, expect, expectTypeOf, test } from "vitest"
import { defineConfig } from "../../../gateway/config/define.ts"
import { type ConfigInput, configJsonSchema } from "../../../gateway/config/schema.ts"

interface JsonSchema {
  type?: string | string[]
  description?: string
  properties?: Record<string, JsonSchema>
  additionalProperties?: boolean | JsonSchema
  items?: JsonSchema
  anyOf?: JsonSchema[]
  required?: string[]
}

function walk(schema: JsonSchema, path: string, visit: (schema: JsonSchema, path: string) => void): void {
  visit(schema, path)
  for (const [key, value] of Object.entries(schema.properties ?? {})) walk(value, `${path}.${key}`, visit)
  if (typeof schema.additionalProperties === "object") walk(schema.additionalProperties, `${path}.*`, visit)
  if (schema.items !== undefined) walk(schema.items, `${path}[]`, visit)
  for (const form of schema.anyOf ?? []) walk(form, path, visit)
}

describe("configJsonSchema", () => {
  const schema = configJsonSchema() as JsonSchema

  test("describes every key, and allows no others", () => {
    let keys = 0
    walk(schema, "", (part, path) => {
      for (const [key, value] of Object.entries(part.properties ?? {})) {
        keys++
        expect(value.description, `${path}.${key}`).toMatch(/\.$/)
      }
      if (part.properties !== undefined) expect(part.additionalProperties, path).toBe(false)
    })
    expect(keys).toBeGreaterThan(80)
  })

  test("is of what is written: short forms are in it, defaults are not required", () => {
    expect(schema.required).toEqual(["listeners"])
    const route = schema.properties?.routes.items
    expect(route?.required).toBeUndefined()
    expect(route?.properties?.timeout.anyOf?.map((form) => form.type)).toEqual([["string", "number"], "object"])
    expect(schema.properties?.listeners.items).toMatchObject({ type: "object", required: ["address"] })
  })

  test("is JSON", () => {
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
  })
})

test("defineConfig returns its argument and is typed by what may be written", () => {
  const config = { listeners: [{ address: "127.0.0.1:8080" }], routes: [{ backends: ["a", { service: "b", weight: 2 }], timeout: "5s" }] }
  expect(defineConfig(config)).toBe(config)
  expectTypeOf<{ listeners: [{ address: string; protocol: "quic" }] }>().not.toExtend<ConfigInput>()
  expectTypeOf<{ services: object }>().not.toExtend<ConfigInput>()
})
