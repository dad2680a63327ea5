/** What the claims share: places to measure in, processes to measure with, threads built once. */

import { join } from "node:path";
import type { JobInput, JobName, JobResult } from "../jobs/index.ts";
import { bytesOnDisk } from "./bytes.ts";
import type { Dialect, Maker, StoredPlace } from "./place.ts";
import { runJob } from "./run-job.ts";

export interface LabOptions {
  readonly turns: number;
  /** Steps of the agent with the `files` map. */
  readonly fileSteps: number;
  readonly folder: string;
  readonly postgresUrl: string | undefined;
  /** False leaves the official savers out, and with them the claims about them. */
  readonly official: boolean;
  readonly profileDir: string | undefined;
}

export interface BuiltChat {
  readonly place: StoredPlace;
  readonly turnTimes: number[];
  readonly bytes: number;
}

export class Lab {
  readonly turns: number;
  readonly fileSteps: number;
  readonly official: boolean;
  readonly #options: LabOptions;
  readonly #chats = new Map<string, Promise<BuiltChat>>();
  #places = 0;

  constructor(options: LabOptions) {
    this.#options = options;
    this.turns = options.turns;
    this.fileSteps = options.fileSteps;
    this.official = options.official;
  }

  /** Half as long a thread, for claims about growth. */
  get half(): number {
    return this.turns / 2;
  }

  newPlace(dialect: Dialect, maker: Maker): StoredPlace {
    const name = `${maker}_${++this.#places}`.replace("-", "_");
    if (dialect === "sqlite") {
      return { dialect, maker, path: join(this.#options.folder, `${name}.db`) };
    }
    const { postgresUrl } = this.#options;
    if (postgresUrl === undefined) throw new Error("This run has no Postgres.");
    return { dialect, maker, url: postgresUrl, schema: name };
  }

  run<Name extends JobName>(name: Name, input: JobInput<Name>): Promise<JobResult<Name>> {
    // Only holdfast is ours to make faster.
    const ours = input.place.maker.startsWith("holdfast");
    return runJob(name, input, { profileDir: ours ? this.#options.profileDir : undefined });
  }

  /** The chat thread as this saver stores it; built once, then only read. */
  chat(dialect: Dialect, maker: Maker, turns = this.turns): Promise<BuiltChat> {
    const key = `${dialect} ${maker} ${turns}`;
    let built = this.#chats.get(key);
    if (built === undefined) this.#chats.set(key, (built = this.newChat(dialect, maker, turns)));
    return built;
  }

  async newChat(dialect: Dialect, maker: Maker, turns = this.turns): Promise<BuiltChat> {
    const place = this.newPlace(dialect, maker);
    const turnTimes = await this.run("buildChat", { place, from: 0, to: turns });
    return { place, turnTimes, bytes: await bytesOnDisk(place) };
  }
}
