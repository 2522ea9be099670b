/**
 * Ctrl-C: the first one asks what is running to stop and report what it has, the second ends the process at
 * once. Both exit 130. Commands that compute do so in workers, so that the signal is heard.
 */

import { EXIT_INTERRUPTED } from "./exit.ts";

let controller: AbortController | null = null;

/** Aborted by SIGINT or SIGTERM. Installs the handlers when first asked for. */
export function interruptSignal(): AbortSignal {
  if (controller !== null) return controller.signal;
  const c = new AbortController();
  controller = c;
  const onSignal = (): void => {
    if (c.signal.aborted) process.exit(EXIT_INTERRUPTED);
    c.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return c.signal;
}
