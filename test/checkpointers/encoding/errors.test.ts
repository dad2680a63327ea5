import { deepStrictEqual } from "node:assert";
import { describe, expect, it } from "vitest";
import { objectOf } from "./arbitrary/values.ts";
import { Store } from "./stored.ts";

/** What there is to an error: its class, and all its own properties as they are. */
function anatomy(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const properties = Object.entries(Object.getOwnPropertyDescriptors(error)).map(
    ([key, { enumerable }]): [string, unknown] => [
      key,
      [enumerable, anatomy(error[key as keyof Error])],
    ],
  );
  return {
    prototype: Object.getPrototypeOf(error) as unknown,
    name: error.name,
    properties: Object.fromEntries(properties.filter(([key]) => key !== "name")),
    ownName: Object.keys(error).includes("name"),
  };
}

describe("an error comes back as it was:", () => {
  it.each<[string, () => Error]>([
    ["a plain one", () => new Error("boom")],
    ["with a cause", () => new Error("outer", { cause: new TypeError("inner") })],
    ["with any value as its cause", () => new Error("x", { cause: { code: 1, at: new Date(1) } })],
    ["with an undefined cause", () => new Error("x", { cause: undefined })],
    ["with a code", () => Object.assign(new RangeError("x"), { code: "E_RANGE", errno: -2 })],
    ["with a name of its own, as most people set it", () => named(new Error("x"))],
    ["with errors, of a validator", () => Object.assign(new Error("x"), { errors: [{ at: "a" }] })],
    ["with a field called $", () => Object.assign(new Error("x"), { $: "p", h: "no hash" })],
    ["with an own __proto__", () => Object.defineProperties(new Error("x"), hostile())],
    ["an AggregateError", () => new AggregateError([new Error("a"), 2], "both")],
    [
      "an AggregateError under another name",
      () => named(new AggregateError([new Error("a")], "both")),
    ],
    ["an Error that calls itself AggregateError", () => named(new Error("x"), "AggregateError")],
    ["a TypeError that calls itself RangeError", () => named(new TypeError("x"), "RangeError")],
    ["without a stack", () => withoutStack(new Error("x"))],
    ["a long one", () => new Error("x".repeat(10_000))],
  ])("%s", (_, make) => {
    const store = new Store();
    const error = make();
    deepStrictEqual(anatomy(store.roundTrip(error)), anatomy(error));
    const tree = store.encode({ error });
    expect(store.encode({ error }, tree)).toBe(tree);
    expect(store.encode(store.decode(tree), tree)).toBe(tree);
  });

  it("of a class of the user's: as the built-in class below, with its name, message and fields", () => {
    class PaymentError extends TypeError {
      override name = "PaymentError";
      readonly status = 402;
    }
    const found = new Store().roundTrip(new PaymentError("no money")) as PaymentError;
    expect(found).toBeInstanceOf(TypeError);
    expect(found).not.toBeInstanceOf(PaymentError);
    expect([found.name, found.message, found.status]).toEqual(["PaymentError", "no money", 402]);
    expect(String(found)).toBe("PaymentError: no money");
  });

  it("an AbortError of Node's: as an Error of that name", () => {
    const found = new Store().roundTrip(AbortSignal.abort().reason) as Error;
    expect(found).toBeInstanceOf(Error);
    expect([found.name, found.message]).toEqual(["AbortError", "This operation was aborted"]);
  });
});

function named<E extends Error>(error: E, name = "MyError"): E {
  error.name = name;
  return error;
}

function withoutStack(error: Error): Error {
  Reflect.deleteProperty(error, "stack");
  return Object.defineProperty(error, "stack", {
    value: undefined,
    configurable: true,
    writable: true,
  });
}

function hostile(): PropertyDescriptorMap {
  const descriptor = {
    value: { admin: true },
    enumerable: true,
    configurable: true,
    writable: true,
  };
  return objectOf([["__proto__", descriptor]]) as PropertyDescriptorMap;
}
