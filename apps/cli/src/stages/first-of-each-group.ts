// A few of every kind: what is measured, and what a report shows.

/** The first `count` of every group, in their order. */
export function firstOfEachGroup<T extends { readonly group: string }>(
  items: readonly T[],
  count: number,
): T[] {
  const taken = new Map<string, number>();
  return items.filter(({ group }) => {
    const before = taken.get(group) ?? 0;
    taken.set(group, before + 1);
    return before < count;
  });
}
