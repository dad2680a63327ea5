import { importSuite } from "../conformance/import.ts";
import { memory, officialPostgres, officialSqlite, postgres, sqlite } from "./savers.ts";

importSuite("memory to memory", memory, memory, { deltaForks: false });
importSuite("memory to SQLite", memory, sqlite, { deltaForks: false });
importSuite("official SQLite to SQLite", officialSqlite, sqlite, { deltaForks: false });
importSuite("official Postgres to Postgres", officialPostgres, postgres, {
  deltaForks: false,
  sourceForks: false,
});
importSuite("SQLite to Postgres", sqlite, postgres, { deltaForks: true });
importSuite("Postgres to SQLite", postgres, sqlite, { deltaForks: true });
importSuite("SQLite to memory", sqlite, memory, { deltaForks: false });
