/** Runs a program as a user's shell would: without what npm and vitest put into our environment. */

import { execFile } from "node:child_process";

export interface Ended {
  stdout: string;
  stderr: string;
  exitCode: number;
}

const OURS = /^(npm_|vitest|NODE_OPTIONS$|NODE_ENV$|FORCE_COLOR$|INIT_CWD$)/i;

export function run(file: string, args: readonly string[], cwd: string): Promise<Ended> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)));
  return new Promise((resolve) => {
    execFile(file, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ stdout, stderr, exitCode: error === null ? 0 : Number(error.code ?? 1) });
    });
  });
}
