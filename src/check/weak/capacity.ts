/** A fixed capacity that turned out too small: the search starts again with more, or reports "bounded". */
export class CapacityError extends Error {
  readonly what: "messages" | "handlers";
  constructor(what: "messages" | "handlers", message: string) {
    super(message);
    this.what = what;
  }
}
