/** A line of `holdfast doctor`. */

export interface Check {
  status: "ok" | "warn" | "fail";
  what: string;
  detail: string;
}

export const ok = (what: string, detail: string): Check => ({ status: "ok", what, detail });
export const warn = (what: string, detail: string): Check => ({ status: "warn", what, detail });
export const fail = (what: string, detail: string): Check => ({ status: "fail", what, detail });
