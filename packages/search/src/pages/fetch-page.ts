// Fetches a page of the public web: no private address is ever connected to, nothing large, slow or unreadable is taken.
import { lookup as resolve } from 'node:dns';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import {
  InputError,
  MaskSearchError,
  readLimited,
  UnavailableError,
  withDeadline,
} from '@masksearch/core';
import { pageText } from './html-text.ts';
import { isPublicAddress } from './public-address.ts';

export interface PageOptions {
  /** Of all redirects together; default 15 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Of the body as it is after decompression; default 4 MiB. */
  readonly maxBytes?: number;
  /** Default 5. */
  readonly maxRedirects?: number;
  /** Addresses that may be connected to although they are not public, on any port: for an own mirror, and tests. */
  readonly allowAddresses?: readonly string[];
  /** Finds the addresses of a name; the system's by default. */
  readonly lookup?: LookupFunction;
}

export interface Page {
  /** Where it was found in the end. */
  readonly url: string;
  readonly title: string;
  readonly text: string;
}

const DEFAULTS = { timeoutMs: 15_000, maxBytes: 4 * 2 ** 20, maxRedirects: 5 };
const TYPES = /^(?:text\/html|text\/plain|application\/xhtml\+xml)$/;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const PORTS = new Set(['', '80', '443']);

/**
 * The text of a page. Every address is checked when it is connected to, on every redirect anew, so that a name that
 * resolves differently the second time gains nothing. No cookies, no credentials, no scripts.
 *
 * @throws {InputError} the URL, an address behind it, the type, the size or a redirect is refused.
 * @throws {UnavailableError} the server cannot be reached or says no.
 * @throws {TimeoutError | CancelledError}
 */
export async function fetchPage(address: string, options: PageOptions = {}): Promise<Page> {
  const { signal } = options;
  const limits = { ...DEFAULTS, ...options };
  return withDeadline('fetchPage', { timeoutMs: limits.timeoutMs, signal }, async (either) => {
    let url = checkUrl(address, limits);
    for (let redirects = 0; ; redirects++) {
      const response = await connect(url, limits, either);
      const { location } = response.headers;
      if (!REDIRECTS.has(response.statusCode ?? 0) || location === undefined) {
        return readPage(url, response, limits);
      }
      response.destroy();
      if (redirects === limits.maxRedirects) {
        throw new InputError(`fetchPage: expected at most ${redirects} redirects, received more.`);
      }
      url = nextUrl(url, location, limits);
    }
  });
}

type Limits = PageOptions & typeof DEFAULTS;

/** @throws {InputError} it is no plain web address. */
function checkUrl(address: string, { allowAddresses = [] }: PageOptions, from?: URL): URL {
  const url = URL.parse(address, from?.href);
  const refuse = (rule: string): InputError =>
    new InputError(
      `fetchPage: expected ${rule}, received ${JSON.stringify(address.slice(0, 200))}.`,
    );
  if (url === null || !/^https?:$/.test(url.protocol)) throw refuse('an http or https address');
  if (url.username !== '' || url.password !== '') throw refuse('an address without credentials');
  const host = hostOf(url);
  if (!PORTS.has(url.port) && !allowAddresses.includes(host)) throw refuse('port 80 or 443');
  if (isIP(host) !== 0 && !isAllowed(host, allowAddresses)) throw refuse('a public address');
  return url;
}

function nextUrl(from: URL, location: string, options: PageOptions): URL {
  const url = checkUrl(location, options, from);
  if (from.protocol === 'https:' && url.protocol === 'http:') {
    throw new InputError('fetchPage: expected redirects to stay on https, received one to http.');
  }
  return url;
}

/** Without the brackets of IPv6. The URL parser has made one address of all its spellings. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function isAllowed(address: string, allowed: readonly string[]): boolean {
  return isPublicAddress(address) || allowed.includes(address);
}

async function connect(url: URL, limits: Limits, signal: AbortSignal): Promise<IncomingMessage> {
  const { allowAddresses = [], lookup = resolve } = limits;
  const options: RequestOptions = {
    signal,
    agent: false, // a connection of its own, so that every address is checked
    lookup: checkedLookup(lookup, allowAddresses),
    headers: {
      accept: 'text/html, application/xhtml+xml, text/plain',
      'accept-encoding': 'gzip, deflate, br',
      'user-agent': 'masksearch (+https://www.npmjs.com/package/masksearch)',
    },
  };
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  try {
    return await new Promise<IncomingMessage>((done, fail) => {
      const request = send(url, options, done);
      request.on('error', fail);
      request.on('socket', (socket) => {
        socket.on('connect', () => {
          const { remoteAddress = '' } = socket;
          if (isAllowed(remoteAddress, allowAddresses)) return;
          request.destroy(
            new InputError('fetchPage: expected a public address, received another.'),
          );
        });
      });
      request.end();
    });
  } catch (cause) {
    if (MaskSearchError.isInstance(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UnavailableError(`fetchPage: cannot reach ${url.host}: ${reason}.`, { cause });
  }
}

/** Gives only addresses that may be connected to. */
function checkedLookup(lookup: LookupFunction, allowed: readonly string[]): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '');
      const addresses =
        typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found;
      const refused = addresses.find(({ address }) => !isAllowed(address, allowed));
      const [first] = addresses;
      if (refused !== undefined || first === undefined) {
        return callback(
          new InputError(
            `fetchPage: expected ${hostname} to have a public address, received ${refused?.address ?? 'none'}.`,
          ),
          '',
        );
      }
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

async function readPage(url: URL, response: IncomingMessage, limits: Limits): Promise<Page> {
  try {
    const { statusCode, headers } = response;
    if (statusCode !== 200) {
      throw new UnavailableError(
        `fetchPage: expected status 200 from ${url.host}, received ${statusCode}.`,
      );
    }
    const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';');
    if (!TYPES.test(type.trim())) {
      throw new InputError(
        `fetchPage: expected HTML or plain text from ${url.host}, received ${JSON.stringify(type)}.`,
      );
    }
    const body = decompressed(response, headers['content-encoding']);
    const { maxBytes } = limits;
    const bytes = await readLimited(body, { where: 'fetchPage', maxBytes });
    const charset = /charset\s*=\s*"?([\w-]+)/.exec(parameters.join(';'))?.[1];
    const text = decode(bytes, charset);
    const page = type.trim() === 'text/plain' ? { title: '', text } : pageText(text);
    return { url: url.href, ...page };
  } catch (cause) {
    if (MaskSearchError.isInstance(cause)) throw cause;
    throw new InputError(
      `fetchPage: expected a whole page from ${url.host}, received a broken one.`,
      {
        cause,
      },
    );
  } finally {
    response.destroy();
  }
}

/** @throws {InputError} the encoding is not one that was asked for. */
function decompressed(response: IncomingMessage, encoding: string | undefined): Readable {
  const decoder = decoderOf(encoding);
  if (decoder === undefined) return response;
  response.on('error', (error) => decoder.destroy(error));
  return response.pipe(decoder);
}

function decoderOf(encoding = 'identity') {
  switch (encoding.trim().toLowerCase()) {
    case 'identity':
      return undefined;
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    default:
      throw new InputError(
        `fetchPage: expected gzip, deflate or br, received ${JSON.stringify(encoding)}.`,
      );
  }
}

/** In the character set of the header, else of the page itself, else UTF-8. */
function decode(bytes: Buffer, charset: string | undefined): string {
  const declared =
    charset ??
    /<meta[^>]+charset\s*=\s*["']?([\w-]+)/i.exec(bytes.toString('latin1', 0, 1024))?.[1];
  try {
    return new TextDecoder(declared ?? 'utf-8').decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes); // a name that nobody knows
  }
}
