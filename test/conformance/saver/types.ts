/** The `types` option: what a user may add to what is kept. */

import { expect, test } from "vitest";
import type { StoredType } from "../../../checkpointers/encoding/types.ts";
import { UnserializableError } from "../../../src/errors.ts";
import { checkpointOf, get, placeForEach, put, threadConfig, type NewPlace } from "./place.ts";

class Money {
  readonly amount: bigint;
  readonly currency: string;
  constructor(amount: bigint, currency: string) {
    this.amount = amount;
    this.currency = currency;
  }
}

const url: StoredType<URL, string> = {
  name: "url",
  is: (value) => value instanceof URL,
  encode: (value) => value.href,
  decode: (form) => new URL(form),
};

/** Its form holds another type of the list, and one of JavaScript's own. */
const money: StoredType<Money, { amount: bigint; shop: URL; currency: string }> = {
  name: "money",
  is: (value) => value instanceof Money,
  encode: ({ amount, currency }) => ({ amount, currency, shop: new URL("https://shop.example/") }),
  decode: ({ amount, currency }) => new Money(amount, currency),
};

const TYPES = { types: [url, money] };

export function typesTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  test("values of a listed type come back, in channels, writes and metadata, in another process too", async () => {
    let saver = await place.get().create(TYPES);
    const value = {
      link: new URL("https://a.b/c?d=1#e"),
      list: [new Money(5n, "EUR")],
      map: new Map([[1, new URL("x:y")]]),
    };
    const config = await put(saver, threadConfig("t"), checkpointOf({ value }), { user: value });
    await saver.putWrites(config, [["value", value]], "task");
    for (let i = 0; i < 2; i += 1) {
      const { checkpoint, pendingWrites, metadata } = await get(saver, config);
      const found = [
        checkpoint.channel_values["value"],
        pendingWrites?.[0]?.[2],
        (metadata as { user?: unknown } | undefined)?.user,
      ];
      for (const got of found as (typeof value)[]) {
        expect(got.link).toBeInstanceOf(URL);
        expect(got.link.href).toBe("https://a.b/c?d=1#e");
        expect(got.list[0]).toBeInstanceOf(Money);
        expect(got.list[0]).toEqual(new Money(5n, "EUR"));
        expect(got.map.get(1)?.href).toBe("x:y");
      }
      saver = await place.get().reopen(saver, TYPES);
    }
    await saver.end();
  });

  test("what is not on the list is refused as before", async () => {
    const saver = await place.get().create({ types: [url] });
    const refused = put(saver, threadConfig("t"), checkpointOf({ value: new Money(1n, "EUR") }));
    await expect(refused).rejects.toThrow(UnserializableError);
    await saver.end();
  });

  test("a saver without the type says which one it lacks", async () => {
    let saver = await place.get().create(TYPES);
    await put(saver, threadConfig("t"), checkpointOf({ value: new URL("https://a.b/") }));
    saver = await place.get().reopen(saver, { types: [] });
    await expect(saver.getTuple(threadConfig("t"))).rejects.toThrow(/"url"/);
    await saver.end();
  });

  test("a value of a type that changes is stored anew, one that doesn't is not", async () => {
    let saver = await place.get().create(TYPES);
    const link = new URL("https://a.b/");
    const first = await put(saver, threadConfig("t"), checkpointOf({ link }));
    link.pathname = "/changed";
    const second = await put(saver, first, checkpointOf({ link }));
    saver = await place.get().reopen(saver, TYPES);
    expect(String((await get(saver, first)).checkpoint.channel_values["link"])).toBe(
      "https://a.b/",
    );
    expect(String((await get(saver, second)).checkpoint.channel_values["link"])).toBe(
      "https://a.b/changed",
    );
    await saver.end();
  });
}
