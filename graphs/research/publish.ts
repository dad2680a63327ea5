/** Puts a text in its file, all or nothing, and any number of times with the same result. */

import { createHash } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Returns the text's SHA-256. A crash leaves the old file or the new one, never half of one. */
export async function publishFile(path: string, text: string): Promise<string> {
  const sha256 = createHash("sha256").update(text).digest("hex");
  const present = await readFile(path, "utf8").catch(() => undefined);
  if (present === text) return sha256;

  await mkdir(dirname(path), { recursive: true });
  // Named by content: what a crash left behind is written over by the next try.
  const temporary = `${path}.${sha256.slice(0, 8)}.tmp`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  return sha256;
}
