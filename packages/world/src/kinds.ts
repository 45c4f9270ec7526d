// The kinds of entities, in which proportion they occur, and how many articles make a block.

/** Articles per block; relations stay within a block, so memory never depends on the world's size. */
export const BLOCK_ARTICLES = 50;

/** How many articles of each kind a full block holds; sums to BLOCK_ARTICLES. */
const articlesPerBlock = {
  person: 14,
  city: 8,
  book: 8,
  company: 7,
  school: 5,
  festival: 4,
  river: 4,
} as const;

export type Kind = keyof typeof articlesPerBlock;

/** All kinds, in a fixed order. */
export const KINDS = Object.keys(articlesPerBlock) as readonly Kind[];

/** The class recorded with an annotated span. */
export const spanKinds: Readonly<Record<Kind | 'year', string>> = {
  person: 'person',
  city: 'place',
  book: 'work',
  company: 'organisation',
  school: 'organisation',
  festival: 'event',
  river: 'place',
  year: 'date',
};

/** Other strings that name an entity and count as correct. A surname is none: relatives share it. */
export function aliasesOf(kind: Kind, name: string): string[] {
  switch (kind) {
    case 'company':
      return [`${name} Company`];
    case 'school':
      return [`${name} School`];
    case 'festival':
      return [`${name} Festival`];
    case 'river':
      return [`River ${name}`];
    case 'person':
    case 'city':
    case 'book':
      return [];
    default:
      return kind satisfies never;
  }
}

/**
 * Kinds of the articles of a block of `size` articles: interleaved, and in proportion for every
 * size, because each place goes to the kind that is furthest behind its share.
 */
export function kindsOfBlock(size: number): Kind[] {
  const placed = new Map<Kind, number>(KINDS.map((kind) => [kind, 0]));
  const behind = (kind: Kind, place: number): number =>
    (articlesPerBlock[kind] * (place + 1)) / BLOCK_ARTICLES - (placed.get(kind) ?? 0);
  return Array.from({ length: size }, (_, place) => {
    const next = KINDS.reduce((best, kind) =>
      behind(kind, place) > behind(best, place) ? kind : best,
    );
    placed.set(next, (placed.get(next) ?? 0) + 1);
    return next;
  });
}
