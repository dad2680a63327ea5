#!/usr/bin/env node
// Imports nothing at first: a Node that is too old must get as far as the sentence below.

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    "holdfast needs Node 22.18 or newer; this is " +
      process.versions.node +
      ". See https://nodejs.org.",
  );
  process.exitCode = 1;
} else {
  import("./start.ts")
    .then(({ start }) => start())
    .catch((error) => {
      console.error("error: holdfast could not start: " + error.message);
      process.exitCode = 1;
    });
}
