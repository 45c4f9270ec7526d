// Runs asynchronous jobs one after the other in the order they were given.

/** A job that fails rejects its own promise and does not stop those after it. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T> | T): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
