/** The documents of the demo: a folder of the user's, or a copy of what this package ships. */

import { cp, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { listFiles } from "../research/documents.ts";
import { UsageError } from "./options.ts";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));

/** Returns the folder. Our own documents are copied, to have README.md and docs/ in one folder. */
export async function chooseDocuments(
  docs: string | undefined,
  temporary: string,
): Promise<string> {
  const folder = docs ?? (await copyOwn(join(temporary, "documents")));
  const found = await stat(folder).catch(() => undefined);
  if (!found?.isDirectory()) throw new UsageError(`--docs: there is no folder ${folder}.`);
  const files = await listFiles(folder);
  if (files.length === 0) throw new UsageError(`There are no .md or .txt files in ${folder}.`);
  return folder;
}

async function copyOwn(folder: string): Promise<string> {
  await mkdir(folder);
  for (const file of await shippedDocuments()) await cp(join(PACKAGE, file), join(folder, file));
  return folder;
}

async function shippedDocuments(): Promise<string[]> {
  const docs = await readdir(join(PACKAGE, "docs")).catch(() => []);
  const top = await readdir(PACKAGE);
  return [
    ...top.filter((name) => name === "README.md"),
    ...docs.filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
  ];
}
