/**
 * The shop's services, the airline and the hotel, from the environment: at `WORLD_URL`, or else a
 * loopback world that really is asked, so that everything runs on any machine. A small client: plain
 * `fetch`, with the signal and the idempotency key that an effect is given.
 */

import process from "node:process";
import { fakeWorld } from "holdfast/testing";

/** What an effect's functions are given, as far as a request needs it. */
interface Asking {
  signal: AbortSignal;
  idempotencyKey?: string;
}

/** The service said no. Its status tells whether trying again may help. */
export class RefusedError extends Error {
  readonly status: number;
  readonly headers: Headers;

  constructor(what: string, status: number, headers: Headers, answer: string) {
    super(`${what} was answered with ${status}: ${answer}`);
    this.name = "RefusedError";
    this.status = status;
    this.headers = headers;
  }
}

/** Has something done: `ask("refund", { order, amount }, context)`. @returns what was done, with its id */
export async function ask<Details extends object>(
  what: string,
  details: Details,
  { signal, idempotencyKey }: Asking,
): Promise<Details & { id: string }> {
  const response = await fetch(`${await worldUrl()}/${what}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
    },
    body: JSON.stringify(details),
    signal,
  });
  return read(what, response);
}

/** What was done under a key; undefined where nothing was. */
export async function lookUp<Done extends object>(
  key: string,
  { signal }: Asking,
): Promise<(Done & { id: string }) | undefined> {
  const response = await fetch(`${await worldUrl()}/keys/${key}`, { signal });
  return response.status === 404 ? undefined : read("The look at a key", response);
}

/** All that was done of one kind with these details: `find("refund", { order })`. */
export async function find<Done extends object>(
  what: string,
  details: Readonly<Record<string, string>>,
  { signal }: Asking,
): Promise<(Done & { id: string })[]> {
  const query = new URLSearchParams(details).toString();
  const response = await fetch(`${await worldUrl()}/${what}?${query}`, { signal });
  return read(what, response);
}

/** How many of an article there are. */
export async function stockOf(sku: string, { signal }: { signal?: AbortSignal }): Promise<number> {
  const url = `${await worldUrl()}/stock/${encodeURIComponent(sku)}`;
  const response = await fetch(url, signal === undefined ? {} : { signal });
  return (await read<{ inStock: number }>("The look at the stock", response)).inStock;
}

async function read<Answer>(what: string, response: Response): Promise<Answer> {
  const answer = await response.text();
  if (!response.ok) throw new RefusedError(what, response.status, response.headers, answer);
  return JSON.parse(answer) as Answer;
}

let loopback: Promise<{ url: string }> | undefined;

async function worldUrl(): Promise<string> {
  const given = process.env["WORLD_URL"];
  if (given) return given;
  return (await (loopback ??= fakeWorld({ background: true }))).url;
}
