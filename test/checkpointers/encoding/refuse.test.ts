import { describe, expect, it } from "vitest";
import { AIMessage } from "@langchain/core/messages";
import { Send } from "@langchain/langgraph";
import { encode } from "../../../checkpointers/encoding/encode.ts";
import type { StoredType } from "../../../checkpointers/encoding/types.ts";
import { UnserializableError } from "../../../src/errors.ts";
import { objectOf } from "./arbitrary/values.ts";
import { Store } from "./stored.ts";

const fn = function callback(): void {};
class Session {
  user = "ada";
}

function refusal(value: unknown, types: readonly StoredType[] = []): UnserializableError {
  try {
    encode(value, undefined, { channel: "state", node: "agent", payloads: undefined, types });
  } catch (error) {
    if (error instanceof UnserializableError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i += 1) value = [value];
  return value;
}

describe("what cannot be stored is refused, by kind and place:", () => {
  const cycle: Record<string, unknown> = { list: [] };
  (cycle["list"] as unknown[]).push({ back: cycle });

  it.each<[string, value: unknown, path: string, text: string]>([
    ["a function", fn, "", "a function (callback)"],
    ["a function in a list", { a: [1, { "b c": fn }] }, '.a[1]["b c"]', "a function (callback)"],
    ["a class", { Session }, ".Session", "a function (Session)"],
    ["a symbol", [Symbol("s")], "[0]", "a symbol (Symbol(s))"],
    ["a symbol as key", { a: { [Symbol.for("k")]: 1 } }, ".a", "a symbol as its key"],
    ["an instance", { user: new Session() }, ".user", "an instance of Session"],
    ["a URL", { at: new URL("https://a/") }, ".at", "an instance of URL"],
    ["a RegExp", [/a/g], "[0]", "an instance of RegExp"],
    ["a cycle", cycle, ".list[0].back", "a cycle"],
    ["a cycle of one", ((list: unknown[]) => (list.push(list), list))([]), "[0]", "a cycle"],
    ["a function called toJSON", { toJSON: () => "x" }, ".toJSON", "a function (toJSON)"],
    ["a class with a toJSON", new (class Money { toJSON = () => 1 })(), "", "an instance of Money"], // prettier-ignore
    ["a function under a hostile key", objectOf([["__proto__", fn]]), ".__proto__", "a function"],
    ["a function under no name", { "": fn }, '[""]', "a function"],
    ["a function in a message", { m: [ai(fn)] }, ".m[0].additional_kwargs.f", "a function"],
    ["a function in a Send", new Send("n", { f: fn }), ".args.f", "a function"],
    [
      "a function in an error's cause",
      new Error("x", { cause: { f: fn } }),
      ".cause.f",
      "a function",
    ],
    [
      "a function on an error",
      Object.assign(new Error("x"), { retry: fn }),
      ".retry",
      "a function",
    ],
    ["a WeakRef in a set", { s: new Set([new WeakRef({})]) }, ".s[0]", "an instance of WeakRef"],
    ["a value too deep", nested(5_000), "[0]".repeat(1_000), "nested too deeply"],
  ])("%s", (_, value, path, text) => {
    const error = refusal(value);
    expect([error.channel, error.path, error.node]).toEqual(["state", path, "agent"]);
    expect(error.message).toContain(text);
    expect(error.message).toContain(`"state${path}"`);
    expect(error.message).toContain('"agent"');
  });

  it("a getter that throws, with what it threw", () => {
    const value = {
      ok: 1,
      get balance(): number {
        throw new Error("no connection");
      },
    };
    const error = refusal({ account: value });
    expect(error.path).toBe(".account.balance");
    expect(String(error.cause)).toContain("no connection");
  });

  it("a proxy that was revoked", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(refusal({ proxy }).path).toBe(".proxy");
  });

  it("not a value that only comes twice", () => {
    const shared = { a: 1 };
    const store = new Store();
    expect(store.roundTrip([shared, { shared }])).toEqual([shared, { shared }]);
  });

  it("not a value as deep as any state is", () => {
    expect(new Store().roundTrip(nested(500))).toEqual(nested(500));
  });

  it("and leaves the encoder as it was: the next value is stored", () => {
    const store = new Store();
    const tree = store.encode({ a: [1, 2] });
    expect(() => store.encode({ a: [1, fn] }, tree)).toThrow(UnserializableError);
    expect(store.encode({ a: [1, 2] }, tree)).toBe(tree);
  });
});

function ai(f: () => void): AIMessage {
  return new AIMessage({ content: "x", additional_kwargs: { f } });
}

describe("the `types` option", () => {
  const url: StoredType<URL, string> = {
    name: "url",
    is: (value) => value instanceof URL,
    encode: (value) => value.href,
    decode: (form) => new URL(form),
  };
  const session: StoredType<Session, object> = {
    name: "session",
    is: (value) => value instanceof Session,
    encode: ({ user }) => ({ user, home: new URL("https://home/") }),
    decode: () => new Session(),
  };
  const handler: StoredType<() => void, string> = {
    name: "handler",
    is: (value) => value === fn,
    encode: () => "callback",
    decode: () => fn,
  };

  it("says how to keep what is refused otherwise, functions included, anywhere in a value", () => {
    const store = new Store([url, session, handler]);
    const value = { a: [new URL("https://a/b?c")], s: new Session(), f: fn, m: new Map([[fn, 1]]) };
    const found = store.roundTrip(value) as typeof value;
    expect(found.a[0]?.href).toBe("https://a/b?c");
    expect(found.s).toBeInstanceOf(Session);
    expect(found.f).toBe(fn);
    expect([...found.m.keys()]).toEqual([fn]);
  });

  it("keeps equal values the very tree that they were (E1)", () => {
    const store = new Store([url, session]);
    const tree = store.encode([new URL("https://a/"), new Session()]);
    expect(store.encode([new URL("https://a/"), new Session()], tree)).toBe(tree);
    expect(store.encode([new URL("https://b/"), new Session()], tree)).not.toBe(tree);
  });

  it("refuses what it turns a value into, if that cannot be stored", () => {
    const error = refusal({ s: [new Session()] }, [session]);
    expect([error.path, error.message]).toEqual([
      ".s[0].home",
      expect.stringContaining("an instance of URL"),
    ]);
  });

  it("refuses a value that a type turns into itself", () => {
    const same = (value: unknown): unknown => value;
    const lazy = { name: "lazy", is: (v: unknown) => v === fn, encode: same, decode: same };
    expect(refusal({ fn }, [lazy]).path).toBe(".fn");
    const object = { ...lazy, is: (v: unknown) => v instanceof Session };
    expect(refusal([new Session()], [object]).path).toBe("[0]");
  });

  it("refuses a value that a type fails on, with what it threw", () => {
    const broken = {
      ...url,
      encode: (): string => {
        throw new Error("no encoding");
      },
    };
    const error = refusal({ at: new URL("https://a/") }, [broken]);
    expect([error.path, String(error.cause)]).toEqual([".at", "Error: no encoding"]);
  });
});
