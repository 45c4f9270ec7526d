// What the clients of one endpoint share, whatever they ask it.
import type { CostMeter } from './cost-meter.ts';
import { Endpoint, type EndpointOptions } from './endpoint.ts';

export class EndpointClient {
  readonly name: string;
  readonly meter: CostMeter;
  protected readonly endpoint: Endpoint;

  /** @throws {ConfigError} the configuration is impossible or the key's variable is not set. */
  constructor(options: EndpointOptions) {
    this.endpoint = new Endpoint(options);
    this.name = this.endpoint.name;
    this.meter = this.endpoint.meter;
  }

  /** Closes the connections; calls under way fail. */
  close(): Promise<void> {
    return this.endpoint.close();
  }
}
