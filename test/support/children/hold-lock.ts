/** Holds the write lock of an SQLite file until told to let go. Args: file. */

import { DatabaseSync } from "node:sqlite";
import { hear, say } from "../child-side.ts";

const db = new DatabaseSync(process.argv[2] as string);
db.exec("BEGIN IMMEDIATE");
say("locked");
await hear();
db.exec("ROLLBACK");
db.close();
process.disconnect();
