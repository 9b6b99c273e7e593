/** What an operator sees of the whole server, and what everybody does of levels. */
import { asHolder, type Door, type Ladder } from "./spaces";

export interface Worker {
  worker: string;
  level: number;
  reasons: string[];
  pressure: { busy: number; behind_ms: number; line: number; handshakes: number; memory: number; files: number };
  listening: number;
  /** Counts since it began, these and those of its doors. */
  joined: number;
  turned_away: number;
  door: { asked: number; arrived: number; entered: number; kept: number; late: number; away: number } | null;
}

export interface Server {
  server: Ladder | null;
  listeners: number;
  joined: number;
  turned_away: number;
  door: Door | null;
  workers: Worker[];
}

/** A level that has changed, in the last 24 hours. `space`: of which conversation; `null`: of the whole server. */
export interface LevelChange {
  at: string;
  space: string | null;
  level: number;
  before: number;
  reasons: string[];
}

export function server(token: string): Promise<Server> {
  return asHolder(token, "GET", "/ladder");
}

export async function levelChanges(token: string): Promise<LevelChange[]> {
  return (await asHolder<{ changes: LevelChange[] }>(token, "GET", "/status")).changes;
}
