/**
 * What can be wrong with a scenario that is to be explored, as the coded error of a person: a job fails in a
 * worker, which can only say why.
 */

import { JobFailed } from "../claims/pool.ts";
import { UserError } from "./errors.ts";

/** A job that cannot be explored, as the user's error that it is. */
export function asUserError(e: unknown): unknown {
  if (!(e instanceof JobFailed)) return e;
  const name = e.job.ref.scenario;
  switch (e.why) {
    case "boot":
      return new UserError("HF016", `${name}: ${e.message}`);
    case "no-threads":
      return new UserError("HF012", name);
    case "repeated-name":
      return new UserError("HF025", `${name}: ${e.message}`);
    case "no-scenario":
      return new UserError("HF007", name);
    case "dialect": {
      const dialect = new Error(e.message);
      dialect.name = "DialectError";
      return Object.assign(dialect, { diagnostics: [{ code: /HF\d{3}/.exec(e.message)?.[0] ?? "HF139" }] });
    }
    case "internal":
      return e;
  }
}
