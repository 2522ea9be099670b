/** Questions to a worker and their answers, one promise each; a worker may also report before it answers. */

interface Question {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

type Answer =
  | { readonly id: number; readonly kind: "report" | "result"; readonly value: unknown }
  | { readonly id: number; readonly kind: "error"; readonly message: string };

/** What a worker can be asked: each method may report through its last argument. */
export type Service = Record<string, (...args: never[]) => unknown>;

export class Client {
  private readonly worker: Worker;
  private readonly waiting = new Map<
    number,
    { resolve: (v: never) => void; reject: (e: Error) => void; report: ((v: never) => void) | undefined }
  >();
  private next = 1;

  constructor(worker: Worker) {
    this.worker = worker;
    worker.onmessage = (e: MessageEvent<Answer>) => {
      const asked = this.waiting.get(e.data.id);
      if (asked === undefined) return;
      if (e.data.kind === "report") {
        asked.report?.(e.data.value as never);
        return;
      }
      this.waiting.delete(e.data.id);
      if (e.data.kind === "error") asked.reject(new Error(e.data.message));
      else asked.resolve(e.data.value as never);
    };
    worker.onerror = (e) => this.fail(e.message);
  }

  ask<T>(name: string, args: readonly unknown[], report?: (value: never) => void): Promise<T> {
    const id = this.next++;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (v: never) => void, reject, report });
      const question: Question = { id, name, args };
      this.worker.postMessage(question);
    });
  }

  /** Ends the worker; whoever still waits is told so. */
  close(): void {
    this.worker.terminate();
    this.fail("stopped");
  }

  private fail(message: string): void {
    for (const { reject } of this.waiting.values()) reject(new Error(message));
    this.waiting.clear();
  }
}

/** The worker's side: answers questions by the service's methods, in the order in which they come. */
export function serve(service: Service): void {
  const post = (a: Answer): void => self.postMessage(a);
  self.onmessage = async (e: MessageEvent<Question>) => {
    const { id, name, args } = e.data;
    try {
      const method = service[name] as ((...args: unknown[]) => unknown) | undefined;
      if (method === undefined) throw new Error(`${name} is not known`);
      const report = (value: unknown): void => post({ id, kind: "report", value });
      post({ id, kind: "result", value: await method(...args, report) });
    } catch (error) {
      post({ id, kind: "error", message: error instanceof Error ? error.message : String(error) });
    }
  };
}
