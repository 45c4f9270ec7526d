// Server-sent events: the data of each event, from bytes that are cut anywhere.

/** Splits a stream of bytes into the `data:` fields of its events. */
export class EventReader {
  readonly #decoder = new TextDecoder();
  #pending = '';
  #data: string[] = [];

  /** @returns the data of the events that these bytes complete. */
  push(bytes: Uint8Array): string[] {
    const lines = (this.#pending + this.#decoder.decode(bytes, { stream: true })).split('\n');
    this.#pending = lines.pop() ?? '';
    const events: string[] = [];
    for (const line of lines) this.#readLine(line.replace(/\r$/, ''), events);
    return events;
  }

  #readLine(line: string, events: string[]): void {
    if (line === '') {
      if (this.#data.length > 0) events.push(this.#data.join('\n'));
      this.#data = [];
    } else if (line.startsWith('data:')) {
      this.#data.push(line.slice(line.startsWith('data: ') ? 6 : 5));
    }
  }
}
