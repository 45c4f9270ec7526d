// HTML as a value: text is escaped unless it was built here, so retrieved text can never become markup.

/** Markup that is safe to insert as it is. */
export class Html {
  readonly markup: string;

  /** Use `html` or `raw`; this takes the markup as it is. */
  constructor(markup: string) {
    this.markup = markup;
  }
}

export type HtmlValue = string | number | Html | readonly HtmlValue[];

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as markup that shows it, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
}

/** Markup of our own that needs no escaping, such as a style sheet. */
export function raw(markup: string): Html {
  return new Html(markup);
}

function render(value: HtmlValue): string {
  if (value instanceof Html) return value.markup;
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return value.map(render).join('');
}

/** A template whose values are escaped: html`<b>${text}</b>`. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(
    strings
      .map((part, p) => part + (p < values.length ? render(values[p] as HtmlValue) : ''))
      .join(''),
  );
}
