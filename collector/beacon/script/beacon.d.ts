/** What an event may say (docs/wire.md); names of your own are kept with it. */
export interface Fields {
  item_id?: string | number;
  item_name?: string;
  category?: string;
  price?: number | string;
  quantity?: number | string;
  currency?: string;
  order_id?: string | number;
  lines?: Line[];
  search_term?: string;
  search_results?: number;
  click_count?: number;
  properties?: Record<string, string | number | boolean>;
  [name: string]: unknown;
}

/** One line of a purchase. */
export interface Line {
  item_id?: string | number;
  item_name?: string;
  category?: string;
  price?: number | string;
  quantity?: number | string;
}

export type EventType =
  | 'page_view' | 'view' | 'click' | 'add_to_cart' | 'remove_from_cart' | 'purchase' | 'search' | (string & {});

/** The tag's `data-` attributes, as options. */
export interface Options {
  /** Absolute URL of `POST /v1/clicks`. */
  endpoint: string;
  /** Absolute URL of `GET /v1/recommendations`; default: on the endpoint's host. */
  recommendations?: string;
  /** "required": nothing is stored or sent before `consent(true)`. */
  consent?: 'required';
  /** Events of nobody, and nothing stored. */
  noCookies?: boolean;
  noPageView?: boolean;
  /** Lets the server know this browser again by its own cookie (`[beacon] cookie_days`). */
  cookie?: boolean;
  /** A page view at each route of the history API. */
  spa?: boolean;
  /** `#/cart` is part of the page. */
  hashRoutes?: boolean;
  /** Keys of the address that are kept in `properties`, separated by commas. */
  keepQuery?: string;
  debug?: boolean;
}

export interface RecommendOptions {
  /** How many; default 4. */
  n?: number;
  /** Where on the page, for the statistics: "product", "cart", "home". */
  placement?: string;
  /** What to recommend for; default: the last ten items that this browser has viewed. */
  items?: string[];
  /** The node that shows an item; null leaves it out. Default: its name or id. */
  draw?: (item: {item_id: string; [name: string]: unknown}, position: number) => Node | null;
}

export interface Debug {
  version: string;
  endpoint: string;
  consent: boolean;
  anonymous: boolean;
  /** Events without a receipt. */
  waiting: number;
  /** Events that found no room. */
  dropped: number;
  /** The last 20 events that were refused for good. */
  rejected: {at: string; reason: string; event: string}[];
}

export interface Milepost {
  readonly version: string;
  /** Returns the event's id. Never throws. */
  track(type: EventType, fields?: Fields): string | undefined;
  /** Join this browser to a customer. */
  identify(customer: string | number, traits?: Record<string, string | number | boolean>): string | undefined;
  /** After signing out: a new user and session. */
  reset(): void;
  /** false removes everything that was stored. */
  consent(given: boolean): void;
  /** Fill an element with recommended items; resolves to what is shown. */
  recommend(element: Element, options?: RecommendOptions): Promise<{item_id: string}[]>;
  debug(): Debug;
}

/** Start counting on this page; once per page. `early`: `window.milepost.q`, what was said and clicked before. */
export function start(options: Options, early?: unknown[]): Milepost;
export const VERSION: string;

declare global {
  interface Window {
    /** What the script tag gives; before it has loaded, `{q: []}` takes calls such as `['search', {…}]`. */
    milepost: Milepost;
  }
}
