/** `PostgresSaver` against LangGraph's validation suite and our own. */

import { PostgresSaver } from "../../checkpointers/postgres/index.ts";
import { officialSuite } from "../conformance/official.ts";
import { saverConformance } from "../conformance/saver.ts";
import type { Place } from "../conformance/saver/place.ts";
import { createDatabase } from "../support/databases.ts";
import { withClient, type Row } from "../support/raw-tables.ts";

const url = await createDatabase();
let places = 0;

/** A schema of its own in a database for all: a database takes longer to make. */
async function newPlace(): Promise<Place> {
  places += 1;
  const schema = `place_${places}`;
  const open = (options = {}): PostgresSaver =>
    PostgresSaver.fromConnString(url, { ...options, schema, pool: { max: 2 } });
  return {
    create: async (options) => open(options),
    reopen: async (saver, options) => {
      await saver.end();
      return open(options);
    },
    rawBytes: () => bytesOf(schema),
    destroy: () =>
      withClient(
        url,
        async (client) => void (await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)),
      ),
  };
}

/** Every value of every table, as Postgres holds it: bytes as they are, the rest as its text. */
async function bytesOf(schema: string): Promise<Buffer> {
  return withClient(url, async (client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1 AND table_type = 'BASE TABLE'",
      [schema],
    );
    const parts: Buffer[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<Row>(`SELECT * FROM ${schema}.${name}`);
      for (const value of rows.flatMap((row) => Object.values(row))) {
        parts.push(
          value instanceof Uint8Array
            ? Buffer.from(value)
            : Buffer.from(typeof value === "string" ? value : JSON.stringify(value)),
        );
      }
    }
    return Buffer.concat(parts);
  });
}

await officialSuite({
  checkpointerName: "PostgresSaver",
  createCheckpointer: () => {
    places += 1;
    return PostgresSaver.fromConnString(url, { schema: `official_${places}`, pool: { max: 2 } });
  },
  destroyCheckpointer: (saver) => (saver as PostgresSaver).end(),
});

saverConformance("PostgresSaver", newPlace);
