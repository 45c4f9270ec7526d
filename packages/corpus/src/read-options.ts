// What all readers have in common.

/** Why a page or row gave no document. */
export type SkipReason =
  | 'redirect' // its title became an alias of its target
  | 'other-namespace' // talk, user, template, … pages
  | 'duplicate' // a page of that title came before
  | 'disambiguation' // a list of other pages
  | 'empty' // no text is left after clean-up
  | 'unparsable'; // the wikitext parser failed on it, or would take minutes (see wiki-tangle.ts)

export interface ReadOptions {
  /** Called for every page or row that gives no document; `where` names file and position. */
  readonly onSkip?: (reason: SkipReason, where: string) => void;
}
