/** One space and its stage as the server tells them, what is asked of it, and what there is to say of its changes. */
import { newsUrl, one, oneHeard, Problem, stage, type Space, type Stage } from "../api/spaces";
import { changes, moves, type Change } from "../stage/changes";
import { hosts } from "../stage/may";
import { follow } from "../stage/news";
import { keptHearing, type Pass } from "../stage/pass";
import { t } from "./i18n.svelte";

export class Room {
  space = $state.raw<Space | null>(null);
  /** `null` while it is not known, and for whoever has no pass that names them. */
  stage = $state.raw<Stage | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** What has just happened, for those who do not see it. */
  news = $state("");
  /** What has happened to you last, if you should not miss it. */
  yours = $state<string | null>(null);
  /** When the offered seat is offered to others, in milliseconds of `performance.now()`. */
  answerUntil = $state<number | null>(null);
  pass = $state.raw<Pass | null>(null);
  /** News come by themselves, and sooner than in the sound. */
  following = false;
  /** The line of news broke: the house may have restarted. */
  onBreak: () => void = () => {};
  /** You do it yourself, so that it is no news to you. */
  #lowering = false;

  constructor(readonly id: string, pass: Pass | null) {
    this.pass = pass;
  }

  /** The pass names somebody, so that the stage knows them. */
  get named(): boolean {
    return this.pass !== null && this.pass.kind !== "invite" && this.pass.kind !== "create";
  }

  get hosting(): boolean {
    return hosts(this.stage?.you.role);
  }

  get over(): boolean {
    return this.space !== null && ["ended", "posted", "cancelled"].includes(this.space.state);
  }

  /** It is over, and its recording is heard by others when the host has heard it. */
  get unposted(): boolean {
    return this.space !== null && this.space.state === "ended" && this.space.posting === "after_review" && this.space.recording !== "off";
  }

  /** And you are one of those who hear it now. */
  get reviewing(): boolean {
    return this.unposted && this.hosting;
  }

  /** Asks for both. What goes wrong is shown. */
  async load(): Promise<void> {
    this.problem = null;
    await this.#tried(() => this.#ask());
  }

  /** Asks without a word when it fails: it is asked again. */
  async again(): Promise<void> {
    await this.#ask().catch((error) => {
      if (!(error instanceof Problem)) throw error;
    });
  }

  /** Follows what happens until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const url = await newsUrl(this.id);
    if (signal.aborted || !this.pass) return;
    this.following = true;
    signal.addEventListener("abort", () => (this.following = false));
    await follow(
      {
        url,
        token: this.pass.token,
        onNews: (news) => ("space" in news ? this.takeSpace(news.space) : this.#takeStage(news.stage)),
        onBreak: () => this.onBreak(),
        waits: () => this.stage?.you.role === "listener",
        ask: () => this.again(),
      },
      signal,
    );
    this.following = false;
  }

  /** Asks the server for something that answers with the stage; true if it was done. */
  async stageBy(command: (token: string, id: string) => Promise<Stage>): Promise<boolean> {
    this.problem = null;
    return this.#tried(async () => this.#takeStage(await command(this.pass!.token, this.id)));
  }

  /** Asks the server for something that answers with the space; true if it was done. */
  async spaceBy(command: (token: string, id: string) => Promise<Space>): Promise<boolean> {
    this.problem = null;
    return this.#tried(async () => this.takeSpace(await command(this.pass!.token, this.id)));
  }

  /** Your hand goes down because you say so. */
  async lower(command: (token: string, id: string) => Promise<Stage>): Promise<void> {
    this.#lowering = true;
    await this.stageBy(command);
    this.#lowering = false;
  }

  say(...said: Change[]): void {
    if (said.length > 0) this.news = said.map(({ key, name }) => t(key, name === undefined ? {} : { name })).join(" ");
  }

  /** What it is now; told by the server, or by the sound. */
  takeSpace(space: Space): void {
    const before = this.space;
    this.space = space;
    if (!before || !this.stage || this.stage.you.role === "listener") return;
    if (before.state === "ended" && space.state === "posted" && space.posting === "after_review") this.say({ key: "review-done" });
    else if (before.state !== "live" && space.state === "live") this.say({ key: "stage-now-live" });
    // All leave at the end; that is one piece of news.
    else if (!this.over) this.say(...moves(before.speakers, space.speakers, this.pass?.participant ?? null));
  }

  #takeStage(now: Stage): void {
    const before = this.stage;
    this.stage = now;
    const within = now.you.answer_within_s;
    this.answerUntil = within === null ? null : performance.now() + within * 1000;
    if (!before) return;
    const said = changes(before, now).filter(({ key }) => !(this.#lowering && ["ask-dismissed", "ask-lapsed"].includes(key)));
    this.say(...said);
    const mine = said.find(({ name }) => name === undefined);
    if (mine) this.yours = mine.key;
  }

  async #ask(): Promise<void> {
    const { pass, id } = this;
    const hearing = keptHearing(id);
    const space = pass ? one(id, pass.token) : hearing ? oneHeard(id, hearing) : one(id, null);
    const [found, now] = await Promise.all([space, this.named ? stage(pass!.token, id) : null]);
    this.takeSpace(found);
    if (now) this.#takeStage(now);
  }

  async #tried(what: () => Promise<void>): Promise<boolean> {
    try {
      await what();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      return false;
    }
  }
}
