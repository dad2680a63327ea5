/**
 * Checks a database by its rows alone: that nothing dangles, and what nothing reaches any more.
 * It shares no code with the savers, so that it cannot share their mistakes.
 */

import type { RawTables } from "./raw-tables.ts";

/** One sentence for each reference to a row that is not there. */
export function dangling(tables: RawTables): string[] {
  const problems: string[] = [];
  const versions = new Map(tables.versions.map((row) => [row.id, row]));
  const payloads = new Set(tables.payloads.map((row) => `${row.thread} ${row.hash}`));
  const threads = new Set(tables.threads.map((row) => row.id));
  const expectPayloads = (thread: number, data: string, where: string): void => {
    for (const hash of hashesIn(data)) {
      if (!payloads.has(`${thread} ${hash}`)) problems.push(`${where}: payload ${hash} is gone`);
    }
  };
  for (const row of tables.checkpoints) {
    if (!threads.has(row.thread)) problems.push(`checkpoint ${row.id}: its thread is gone`);
    for (const id of row.manifest) {
      const version = versions.get(id);
      if (version?.thread !== row.thread)
        problems.push(`checkpoint ${row.id}: version ${id} is gone`);
    }
  }
  for (const row of tables.versions) {
    const where = `version ${row.id} of ${row.channel}`;
    if (row.base !== null && versions.get(row.base)?.thread !== row.thread)
      problems.push(`${where}: its base ${row.base} is gone`);
    expectPayloads(row.thread, row.data, where);
  }
  for (const row of tables.writes) {
    const where = `write of ${row.channel} at ${row.checkpoint}`;
    if (row.base !== null && versions.get(row.base)?.thread !== row.thread)
      problems.push(`${where}: its base ${row.base} is gone`);
    expectPayloads(row.thread, row.data, where);
  }
  return problems;
}

/** One sentence for each row that no checkpoint, and no write of one, needs. */
export function unreachable(tables: RawTables): string[] {
  const base = new Map(tables.versions.map((row) => [row.id, row.base]));
  const needed = new Set<number>();
  const need = (id: number | null): void => {
    for (let at: number | null | undefined = id; at !== null && at !== undefined; at = base.get(at))
      needed.add(at);
  };
  for (const row of tables.checkpoints) row.manifest.forEach(need);
  for (const row of tables.writes) need(row.base);
  const payloads = new Set<string>();
  for (const row of [...tables.versions.filter(({ id }) => needed.has(id)), ...tables.writes]) {
    for (const hash of hashesIn(row.data)) payloads.add(`${row.thread} ${hash}`);
  }
  const places = new Set(tables.checkpoints.map((row) => `${row.thread} ${row.ns} ${row.id}`));
  return [
    ...tables.versions
      .filter(({ id }) => !needed.has(id))
      .map((row) => `version ${row.id} of ${row.channel}`),
    ...tables.payloads
      .filter((row) => !payloads.has(`${row.thread} ${row.hash}`))
      .map((row) => `payload ${row.hash}`),
    ...tables.writes
      .filter((row) => !places.has(`${row.thread} ${row.ns} ${row.checkpoint}`))
      .map((row) => `write of ${row.channel} at ${row.checkpoint}`),
  ];
}

function hashesIn(data: string): string[] {
  return [...data.matchAll(/\{"\$":"p","h":"([^"]+)"\}/g)].map((match) => match[1] as string);
}
