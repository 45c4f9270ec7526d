// The pages of a MediaWiki XML dump, one at a time; knows nothing about wikitext.
import { InputError } from '@masksearch/core';
import { SaxesParser } from 'saxes';
import { readFileText } from './file-bytes.ts';

/** A page as the dump has it. */
export interface WikiPage {
  readonly id: string;
  readonly title: string;
  readonly namespace: number;
  /** Title of the page that this one redirects to, as the dump's `<redirect>` element says. */
  readonly redirect: string | undefined;
  /** Wikitext of the last revision. */
  readonly wikitext: string;
  /** `file:line` of the page's end. */
  readonly where: string;
}

type Field = 'id' | 'title' | 'ns' | 'text';

/** Paths below `<mediawiki>` whose text is kept. */
const FIELDS: ReadonlyMap<string, Field> = new Map([
  ['mediawiki/page/id', 'id'],
  ['mediawiki/page/title', 'title'],
  ['mediawiki/page/ns', 'ns'],
  ['mediawiki/page/revision/text', 'text'],
]);

/**
 * Streams the pages of a dump (.xml, or compressed with bzip2 or gzip).
 * @throws {InputError} the XML is malformed or cut off, not a dump, or a page lacks its title; names file and line.
 */
export async function* readWikiPages(path: string): AsyncGenerator<WikiPage> {
  const collector = new PageCollector(path);
  for await (const text of readFileText(path)) {
    collector.write(text);
    yield* collector.takePages();
  }
  collector.close();
}

class PageCollector {
  readonly #path: string;
  readonly #parser = new SaxesParser();
  readonly #open: string[] = [];
  #pages: WikiPage[] = [];
  #fields = new Map<Field, string>();
  #redirect: string | undefined;
  #field: Field | undefined;
  #texts: string[] = [];
  #root: string | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#parser.on('error', (error) => {
      throw this.#malformed(error.message.replace(/^\d+:\d+: /, ''), error); // the parser's place is ours
    });
    this.#parser.on('opentag', ({ name, attributes }) => this.#onOpen(name, attributes));
    this.#parser.on('closetag', ({ name }) => this.#onClose(name));
    this.#parser.on('text', (text) => this.#onText(text));
    this.#parser.on('cdata', (text) => this.#onText(text));
  }

  write(text: string): void {
    this.#parser.write(text);
  }

  takePages(): WikiPage[] {
    const pages = this.#pages;
    this.#pages = [];
    return pages;
  }

  close(): void {
    this.#parser.close();
    if (this.#root === undefined) throw this.#malformed('document has no root element');
  }

  #onOpen(name: string, attributes: Record<string, string>): void {
    this.#root ??= name;
    if (this.#root !== 'mediawiki') {
      throw this.#malformed(`its root element is <${this.#root}>, not <mediawiki>`);
    }
    this.#open.push(name);
    this.#field = FIELDS.get(this.#open.join('/'));
    this.#texts = [];
    if (name === 'redirect') this.#redirect = attributes['title'];
  }

  #onText(text: string): void {
    if (this.#field !== undefined) this.#texts.push(text);
  }

  #onClose(name: string): void {
    if (this.#field !== undefined) this.#fields.set(this.#field, this.#texts.join(''));
    this.#field = undefined;
    if (name === 'page') this.#finishPage();
    this.#open.pop();
  }

  #finishPage(): void {
    const title = this.#fields.get('title');
    const id = this.#fields.get('id');
    if (!title || !id) throw this.#malformed(`a page has no ${title ? 'id' : 'title'}`);
    const namespace = Number(this.#fields.get('ns') ?? '0');
    if (!Number.isInteger(namespace)) throw this.#malformed(`the <ns> of ${title} is no integer`);
    this.#pages.push({
      id,
      title,
      namespace,
      redirect: this.#redirect,
      wikitext: this.#fields.get('text') ?? '',
      where: `${this.#path}:${this.#parser.line}`,
    });
    this.#fields = new Map();
    this.#redirect = undefined;
  }

  #malformed(reason: string, cause?: unknown): InputError {
    const { line, column } = this.#parser;
    return new InputError(
      `${this.#path}:${line}:${column}: expected a MediaWiki XML dump, received malformed XML or other data: ${reason}.`,
      { data: { file: this.#path, line, column }, cause },
    );
  }
}
