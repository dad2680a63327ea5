/** Savers to put to the test: each factory gives a new connection to one database for all cases. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSaver } from "../support/open-saver.ts";
import { startPostgres } from "../support/postgres.ts";
import { Oracle } from "./oracle.ts";
import type { SubjectFactory } from "./run.ts";

export interface Bench {
  factory: SubjectFactory;
  end(): Promise<void>;
}

/** @param place as `openSaver` takes it; cases also meet each other's rows there */
export function holdfastAt(place: string): SubjectFactory {
  return async () => {
    let saver = openSaver(place);
    return {
      saver,
      reopen: async () => {
        await saver.end();
        saver = openSaver(place);
        return saver;
      },
      close: () => saver.end(),
    };
  };
}

export const BENCHES: Record<string, () => Promise<Bench>> = {
  sqlite: async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-fuzz-"));
    return {
      factory: holdfastAt(`sqlite:${join(folder, "fuzz.db")}`),
      end: () => rm(folder, { recursive: true, force: true }),
    };
  },
  postgres: async () => {
    const postgres = await startPostgres({ settings: { fsync: "off", full_page_writes: "off" } });
    return { factory: holdfastAt(await postgres.createDatabase()), end: () => postgres.stop() };
  },
  /** The oracle against itself: a difference would be the driver's own. */
  oracle: async () => ({ factory: slowOracle, end: async () => undefined }),
};

/** The oracle again, each call of it late by chance: proves that no comparison depends on speed. */
export const slowOracle: SubjectFactory = async () => {
  const saver = new Oracle();
  const late = <A extends unknown[], R>(method: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      // The call itself is at once, as a saver must look at what it is given before it waits.
      const result = method(...args);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
      return result;
    };
  };
  saver.put = late(saver.put.bind(saver));
  saver.putWrites = late(saver.putWrites.bind(saver));
  saver.getTuple = late(saver.getTuple.bind(saver));
  return { saver, reopen: async () => saver, close: async () => undefined };
};
