/**
 * Loads a user's module: by Node itself where it can, which keeps one module graph and true
 * positions, and else through jiti, which knows what Node's type stripping does not (enums, JSX,
 * imports without an extension, tsconfig paths).
 */

import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { InvalidInputError, NotFoundError } from "../errors.ts";

/** The module's exports. */
export async function loadModule(file: string): Promise<Record<string, unknown>> {
  await mustBeFile(file);
  if (file.endsWith(".py")) {
    throw new InvalidInputError(
      `${file} is a Python graph; holdfast runs JavaScript and TypeScript.`,
    );
  }
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    if (!isForJiti(error)) throw error;
    return loadWithJiti(file);
  }
}

async function mustBeFile(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) throw new NotFoundError(`There is no file ${file}.`);
  if (!found.isFile()) throw new InvalidInputError(`${file} is not a file.`);
}

const LINK_ERRORS = new Set([
  "ERR_UNKNOWN_FILE_EXTENSION",
  "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX",
  "ERR_INVALID_TYPESCRIPT_SYNTAX",
  "ERR_UNSUPPORTED_DIR_IMPORT",
  "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING",
  "ERR_IMPORT_ATTRIBUTE_MISSING",
  "ERR_MODULE_NOT_FOUND",
]);

/**
 * True for what Node reports before it runs anything, so that trying again repeats no side effect.
 * A SyntaxError is also how a type imported without `type` shows itself.
 */
function isForJiti(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return error instanceof SyntaxError || (code !== undefined && LINK_ERRORS.has(code));
}

async function loadWithJiti(file: string): Promise<Record<string, unknown>> {
  const { createJiti } = await import("jiti");
  const jiti = createJiti(pathToFileURL(`${dirname(file)}/`).href, {
    jsx: true,
    tsconfigPaths: true,
    // Nothing is left behind in the user's node_modules.
    fsCache: false,
  });
  return jiti.import<Record<string, unknown>>(file);
}
