// Records without what differs from run to run: search times. Everything else is the same for the same seed.
import type { SearchCall } from '@masksearch/core';

export function withoutClock<T extends { readonly searches: readonly SearchCall[] }>(record: T): T {
  const searches = record.searches.map(({ milliseconds: _, ...search }) => search);
  return { ...record, searches };
}
