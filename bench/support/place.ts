/** Where a saver keeps its threads, as plain data: it travels to the process that measures. */

/** `holdfast-full` is holdfast on SQLite with `synchronous=FULL`. */
export type Maker = "holdfast" | "holdfast-full" | "official";

export type Dialect = "sqlite" | "postgres";

export interface SqlitePlace {
  readonly dialect: "sqlite";
  readonly maker: Maker;
  readonly path: string;
}

export interface PostgresPlace {
  readonly dialect: "postgres";
  readonly maker: Maker;
  readonly url: string;
  /** Each saver and each measurement has a schema to itself. */
  readonly schema: string;
}

/** The floor saver: gone with its process. */
export interface MemoryPlace {
  readonly dialect: "memory";
  readonly maker: "floor";
}

export type StoredPlace = SqlitePlace | PostgresPlace;
export type Place = StoredPlace | MemoryPlace;

export const FLOOR: MemoryPlace = { dialect: "memory", maker: "floor" };

/** How the place is called in progress lines and figures. */
export function nameOf(place: Place): string {
  return place.dialect === "memory" ? "floor" : `${place.maker} ${place.dialect}`;
}
