/**
 * A provider on loopback, in a thread of its own: what its answers take is no work of the client's.
 */

import { Worker, isMainThread, parentPort } from "node:worker_threads";
import { fakeOpenAI } from "holdfast/testing";

export interface Provider {
  /** For a client. */
  readonly baseURL: string;
  end(): Promise<void>;
}

export async function startProvider(): Promise<Provider> {
  const worker = new Worker(new URL(import.meta.url));
  const baseURL = await new Promise<string>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { baseURL, end: async () => void (await worker.terminate()) };
}

if (!isMainThread) {
  const { baseURL } = await fakeOpenAI({ answer: () => "Otters hold hands while they sleep." });
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- to a thread, no window
  parentPort?.postMessage(baseURL);
}
