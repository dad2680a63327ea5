/** `npm run build`: what `npm pack` ships of the code, in `dist/`. */

import { spawnSync } from "node:child_process";
import { chmod, copyFile, glob, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

await rm(dist, { recursive: true, force: true });

const tsc = spawnSync(
  process.execPath,
  [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"],
  { cwd: root, stdio: "inherit" },
);
if (tsc.status !== 0) process.exit(1);

// The compiler turns `./a.ts` into `./a.js` in code only; not every tool that reads declarations
// knows that `./a.ts` means `./a.d.ts` there.
for await (const file of glob("**/*.d.ts", { cwd: dist })) {
  const path = join(dist, file);
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replaceAll(/((?:from|import\(|import) ?"\.[^"]*)\.ts"/g, '$1.js"'));
}

for await (const file of glob("checkpointers/*/migrations/*.sql", { cwd: root })) {
  await mkdir(dirname(join(dist, file)), { recursive: true });
  await copyFile(join(root, file), join(dist, file));
}

const bin = join(dist, "src/cli/bin.js");
const shebang = "#!/usr/bin/env node\n";
const text = await readFile(bin, "utf8");
if (!text.startsWith(shebang)) await writeFile(bin, shebang + text);
await chmod(bin, 0o755);
