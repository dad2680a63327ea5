/** For each test file: property tests draw the same cases at each run, `FC_SEED=…` draws others. */

import process from "node:process";
import fc from "fast-check";

const { FC_SEED: seed = "20260801" } = process.env;
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
