/** A position in the gateway's order of all events, like "0/1A2B3C4D.2". */
export type Position = string;

/** An id of the LMS: a number where its key is an integer of at most 53 bits. */
export type Id = number | string;

/** Which events the gateway sends. Left out, null or empty: all. */
export interface Filter {
  /** submission, grade, assignment, assignment_closed, or types of custom messages. */
  types?: readonly string[] | null;
  /** Events about other assignments are not sent; those about none are. */
  assignments?: readonly Id[] | null;
}

export interface Options {
  /** Where the gateway is, with the path that it has there; otherwise where this module came from. */
  url?: string | URL;
  /** Without a token and getToken the LMS's session cookie says who it is. */
  token?: string;
  /**
   * Gives a fresh token: at the start if there is no token, before one expires, and when
   * one is not taken any more. Nothing: the person has to sign in again. If it throws, it
   * is asked again later.
   */
  getToken?: () => string | null | undefined | Promise<string | null | undefined>;
  /** Resume after this position, whatever the storage says. */
  since?: Position;
  filter?: Filter;
  /**
   * Where the position is kept between two lives of the page, with the person's id and
   * nothing else; by default sessionStorage: per tab. null: nowhere.
   */
  storage?: Pick<Storage, 'getItem' | 'setItem'> | null;
  /** By default "auto": WebSocket, and Server-Sent Events where it does not get through. */
  transport?: 'auto' | 'websocket' | 'sse';
  /**
   * Tabs of one origin with the same gateway, token (or person, by cookie) and filter share
   * one connection, where the browser has Web Locks. By default true.
   */
  share?: boolean;
}

export interface Student {
  id: Id;
  email: string;
  first_name: string;
  last_name: string;
}

/** What events and custom messages have in common. */
export interface Event {
  type: string;
  id: Position;
  timestamp: string;
  /** It could not be told when it happened. */
  recovered?: true;
}

export interface Submission extends Event {
  type: 'submission';
  submission_id: Id;
  assignment_id: Id;
  assignment_title: string;
  student: Student;
}

export interface Grade extends Omit<Submission, 'type'> {
  type: 'grade';
  grade: number | string | null;
}

export interface Assignment extends Event {
  type: 'assignment';
  assignment_id: Id;
  title: string;
  description: string;
  due_date: string | null;
}

export interface AssignmentClosed extends Event {
  type: 'assignment_closed';
  assignment_id: Id;
  assignment_title: string;
}

/** What somebody published, with fields of their own. */
export interface Custom extends Event {
  [field: string]: unknown;
}

export type LmsEvent = Submission | Grade | Assignment | AssignmentClosed;

export interface Counts {
  pending_submissions: number;
  ungraded_submissions: number;
  active_students: number;
  total_assignments: number;
}

export interface Metrics extends Counts {
  type: 'metrics';
  timestamp: string;
  cursor: Position;
}

export interface Welcome {
  type: 'welcome';
  user_id: Id;
  user_email: string;
  user_role: string;
  /** null for students. */
  metrics: Counts | null;
  timestamp: string;
  cursor: Position;
  resumed?: boolean;
  expires?: string;
}

/** The events after `from`, up to and including `to`, cannot be given. */
export interface Gap {
  type: 'gap';
  reason: 'bulk' | 'retention' | 'history_lost';
  from: Position;
  to: Position;
  count: number | null;
  timestamp: string;
  /**
   * What to fetch instead: a range for history(). null: nobody has these events any more,
   * so that whatever is derived from events has to be read anew from the LMS.
   */
  refetch: { since: Position; to: Position } | null;
}

export interface State {
  /**
   * - connecting
   * - catching-up: connected; what was missed is coming
   * - live
   * - reconnecting: waiting for `retryAt`
   * - offline: the same, and the browser says that there is no network
   * - signed-out: for good; the person has to sign in again
   * - stopped: for good; this person, or this page, may not connect
   */
  state: 'connecting' | 'catching-up' | 'live' | 'reconnecting' | 'offline' | 'signed-out' | 'stopped';
  /** How many attempts have failed in a row. */
  attempt: number;
  /** When it tries again, in ms like Date.now(). */
  retryAt?: number;
  /** While catching up: by how many ms the last event that came was behind the connection's begin. */
  behind?: number;
  /** A code of the protocol, or connection_lost, websocket_refused, no_token (getToken threw), other_account. */
  reason?: string;
  /** The gateway's own words for it. */
  detail?: string;
}

/** A part of the history, oldest first. */
export interface Page {
  events: (LmsEvent | Custom)[];
  /** Where the next page begins. */
  cursor: Position;
  more: boolean;
  /** What is missing before the events. */
  gap: Omit<Gap, 'refetch'> | null;
}

export interface Events {
  /** Every event and custom message, once, in order; each comes by the name of its type, too. */
  event: CustomEvent<LmsEvent | Custom>;
  submission: CustomEvent<Submission>;
  grade: CustomEvent<Grade>;
  assignment: CustomEvent<Assignment>;
  assignment_closed: CustomEvent<AssignmentClosed>;
  /** At each connection, also when it resumes. */
  welcome: CustomEvent<Welcome>;
  metrics: CustomEvent<Metrics>;
  gap: CustomEvent<Gap>;
  state: CustomEvent<State>;
}

export interface Bell extends EventTarget {
  addEventListener<K extends keyof Events>(
    type: K, listener: (this: Bell, event: Events[K]) => void, options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof Events>(
    type: K, listener: (this: Bell, event: Events[K]) => void, options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions,
  ): void;

  /** Everything up to here has been told; while an event is told, this stands before it. '': nothing yet. */
  readonly cursor: Position;
  /** The last state that was told. */
  readonly state: State | undefined;
  /** Has the gateway send other events from now on. Nothing in between is lost. */
  filter(filter?: Filter): void;
  /** The time to the gateway and back, in ms; null when there is no connection. */
  latency(): Promise<number | null>;
  /** A page of what happened after `since`, up to `to`; by `limit`, 100 events, at most 1,000. */
  history(range?: { since?: Position; to?: Position; limit?: number }): Promise<Page>;
  /** Tries at once instead of waiting, because a person asked for it. */
  retry(): void;
  /** Ends the connection for good, without an event. */
  close(): void;
}

/** Connects, and stays connected until close() or until the gateway says that it is of no use. */
export function connect(options?: Options): Bell;

/** Reports whether position a comes after b; any position comes after ''. */
export function after(a: Position, b: Position): boolean;
