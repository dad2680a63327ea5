/** This package's own package.json. */

import { readFileSync } from "node:fs";

export interface Manifest {
  version: string;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
}

/** Two folders up from the sources, three from what they are compiled to. */
export function ownManifest(): Manifest {
  for (const up of ["../../", "../../../"]) {
    try {
      const text = readFileSync(new URL(`${up}package.json`, import.meta.url), "utf8");
      const manifest = JSON.parse(text) as Manifest & { name?: string };
      if (manifest.name === "holdfast") return manifest;
    } catch {
      // Not here, then.
    }
  }
  throw new Error("holdfast cannot find its own package.json.");
}

export function ownVersion(): string {
  return ownManifest().version;
}
