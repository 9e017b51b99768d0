// The page of an invitation. Loading it asks (inspect) and changes nothing; only a press of a button accepts or declines:
// programs that scan mails open links, and some run scripts.
//
// The token stays in the fragment. It reaches no server's log there, a reload still works, and so does "open in browser"
// of mail programs that show pages themselves: they hand over the address, and nothing else.
"use strict";

const byId = (id) => document.getElementById(id);
const own = new URL(import.meta.url);

/** Texts of the present language: text with `{variable}` in it. */
let texts = JSON.parse(byId("texts").textContent);
/** What is shown. */
let view = "loading";
/** What the server said of this link so far. */
let known = {};
let token = "";
/** Counts questions: an answer that comes after a newer question is not shown. */
let turn = 0;
let busy = false;
let timer;
/** Retries by itself that are left; each needs no press, so each only asks. */
let retries = 5;
/** What a press of "Try again" does. */
let again = () => look();

// --- Elements and words ----------------------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child));
  return element;
}

/** A text as nodes. What others wrote is set apart, so that a name from right to left leaves the sentence in order. */
const words = (id, values = {}) =>
  texts[id].split(/\{(\w+)\}/).map((part, at) => (at % 2 ? make("bdi", {}, String(values[part] ?? "")) : part));
const plain = (id, values = {}) => texts[id].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

const p = (id, values, attributes) => make("p", attributes, words(id, values));
const button = (id, press, kind) => make("button", { type: "button", id, class: kind, click: press }, words(id));
const row = (...buttons) => make("div", { class: "choice" }, buttons);

/** Terms and what they mean; those without a meaning are left out. */
function facts(...lines) {
  const there = lines.filter(([, meaning]) => meaning);
  return there.length > 0 && make("dl", {}, there.map(([id, meaning]) =>
    make("div", {}, make("dt", {}, words(id)), make("dd", { dir: typeof meaning === "string" && "auto" }, meaning))));
}

/** Whom to ask, with a link where the contact is an address. */
function contact() {
  const who = known.contact;
  const isAddress = who && /^[^\s@]+@[^\s@]+$/.test(who);
  return facts(["contact", isAddress ? make("a", { href: `mailto:${encodeURIComponent(who)}` }, who) : who]);
}

/** The reader's variant of the language that the page speaks: day before month, or after it. */
const locale = () => {
  const lang = document.documentElement.lang;
  return navigator.languages.find((tag) => tag.toLowerCase().split("-")[0] === lang) ?? lang;
};

/** A time with its zone, and how far away it is. */
function moment(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return undefined;
  const parts = { weekday: "long", year: "numeric", month: "long", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" };
  const seconds = (date.getTime() - Date.now()) / 1000;
  const [unit, length] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, l]) => seconds >= l) ?? ["minute", 60];
  const away = new Intl.RelativeTimeFormat(locale()).format(Math.floor(seconds / length), unit);
  return make("time", { datetime: time }, new Intl.DateTimeFormat(locale(), parts).format(date),
    seconds > 0 && make("span", { class: "away" }, ` (${away})`));
}

const delay = (seconds) =>
  new Intl.NumberFormat(locale(), { style: "unit", unit: "second", unitDisplay: "long" }).format(seconds);

/** Where an accepted person goes on: to a page of the web, never to a script. */
function onward() {
  const url = URL.canParse(known.continueURL ?? "") && new URL(known.continueURL);
  return url && ["http:", "https:"].includes(url.protocol) ? url : undefined;
}

// --- Views -----------------------------------------------------------------------------------------------------------

const PICTURES = {
  letter: "M3 6.5h18v11H3zM3 7l9 6.5L21 7",
  done: "M5 12.5l4.5 4.5L19 7.5",
  ended: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  clock: "M12 4a8 8 0 1 0 .01 0M12 7.5V12l3 2",
  question: "M9 9a3 3 0 1 1 4.3 2.7c-.9.5-1.3 1-1.3 2.3M12 17.2v.3",
  pause: "M9 6.5v11M15 6.5v11",
  wave: "M4.5 10a11 11 0 0 1 15 0M7.5 13.2a6.500 6.500 0 0 1 9 0M12 17v.3M4 4l16 16",
  person: "M12 12a3.500 3.500 0 1 0-.01 0M5 19.500c1-4 4-5 7-5s6 1 7 5",
};

/** An end that only needs words: what happened, and whom to ask. */
const end = (name, picture, tone = "ended") => ({ picture, tone, body: () => [p(`${name}-text`), contact()] });
/** A trouble that passes, with or without somebody to ask. */
const passing = (name, picture, whom) => ({
  picture,
  tone: "waiting",
  body: () => [p(`${name}-text`, { delay: delay(known.wait) }), whom?.(), row(button("retry", () => again(), "first"))],
});

const VIEWS = {
  loading: { picture: "letter", tone: "plain", body: () => [p("loading-text")] },
  open: {
    picture: "letter",
    tone: "plain",
    values: () => ({ portal: known.portal }),
    body: () => [
      known.givenName && p("open-greeting", { name: known.givenName }),
      p(known.invitedBy ? "open-text-by" : known.givenName ? "open-text" : "open-text-alone",
        { inviter: known.invitedBy, tenant: known.tenant }),
      known.message && make("figure", {},
        make("figcaption", {}, words(known.invitedBy ? "message-by" : "message-alone", { inviter: known.invitedBy })),
        make("blockquote", { dir: "auto" }, known.message)),
      facts(["address", known.email], ["answer-by", known.expirationTime && moment(known.expirationTime)]),
      row(button("accept", () => answer("accept"), "first"), button("decline", () => show("declining"), "second")),
      p("open-hint", {}, { class: "hint" }),
    ],
  },
  declining: {
    picture: "question",
    tone: "waiting",
    body: () => [p("declining-text"), row(button("back", () => show("open"), "second"),
      button("decline-finally", () => answer("decline"), "grave"))],
  },
  accepted: {
    picture: "done",
    tone: "done",
    body: () => {
      const url = onward();
      return url
        ? [p("accepted-text"), row(make("a", { id: "continue", class: "first", href: url.href, rel: "noreferrer" },
          words("continue", { host: url.host })))]
        : [p("accepted-text-alone"), contact()];
    },
  },
  declined: end("declined", "ended"),
  expired: end("expired", "clock"),
  revoked: end("revoked", "ended"),
  superseded: end("superseded", "letter", "waiting"),
  withdrawn: end("withdrawn", "ended"),
  suspended: end("suspended", "person"),
  member: end("member", "person", "done"),
  inactive: passing("inactive", "pause", contact),
  offline: passing("offline", "wave"),
  busy: passing("busy", "clock"),
  unavailable: passing("unavailable", "clock"),
  failed: passing("failed", "question"),
  unknown: { picture: "question", tone: "ended", body: () => [p("unknown-text"), pasting()] },
  paste: { picture: "letter", tone: "plain", body: () => [p("paste-text"), pasting()] },
};

/** The view of each state and reason of the API. */
const OF_STATE = {
  Open: "open", Accepted: "accepted", Declined: "declined", Expired: "expired", Revoked: "revoked",
  Superseded: "superseded", Withdrawn: "withdrawn", PortalInactive: "inactive", UserSuspended: "suspended",
  AlreadyMember: "member", NotFound: "unknown", TooLarge: "unknown", TooManyRequests: "busy",
  Unavailable: "unavailable", Offline: "offline",
};

function render() {
  const { picture, tone, values, body } = VIEWS[view];
  const heading = `${view}-heading`;
  byId("heading").replaceChildren(...words(heading, values?.()));
  byId("body").replaceChildren(...body().flat().filter((node) => node));
  byId("picture").firstElementChild.setAttribute("d", PICTURES[picture]);
  byId("card").dataset.tone = tone;
  byId("card").dataset.view = view;
  const about = known.portal && view !== "open" ? known.portal : plain("page");
  document.title = `${plain(heading, values?.())} · ${about}`;
}

/** Shows a view. The focus goes to its heading, which is what has to be read next. */
function show(name) {
  view = name;
  render();
  if (name !== "loading") byId("heading").focus();
}

/** The form for a link that was not opened but copied. */
function pasting() {
  const hint = make("p", { id: "paste-hint", class: "hint" }, words("paste-hint"));
  const wrong = make("p", { id: "paste-wrong", class: "wrong", hidden: true });
  const input = make("input", {
    id: "code", type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", dir: "ltr", enterkeyhint: "go",
    "aria-describedby": "paste-hint",
  });
  const complain = (id) => {
    wrong.replaceChildren(...words(id));
    wrong.hidden = false;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", "paste-wrong paste-hint");
    input.focus();
    input.select();
  };
  const submit = async (event) => {
    event.preventDefault();
    const text = input.value.replace(/\s/g, "");
    if (!text) return complain("paste-empty");
    const found = tokenOf(text);
    if (!found) return complain("paste-wrong");
    const said = await question("inspect", found);
    if (!said) return;
    if (OF_STATE[said.state] === "unknown") return complain("paste-wrong");
    // As if the link had been opened: a reload works, and the address can be handed to another browser.
    history.replaceState(null, "", `#${found}`);
    [token, known, retries, again] = [found, {}, 5, look];
    tell(said);
  };
  return make("form", { submit, novalidate: true },
    make("label", { for: "code" }, words("paste-label")), hint, input, wrong,
    row(make("button", { type: "submit", id: "open", class: "first" }, words("open"))));
}

// --- Questions and answers ---------------------------------------------------------------------------------------------

/** The token of a link or of its last part. Mail filters wrap links into their own, with the `#` escaped. */
const tokenOf = (text) => /(?:#|%23)([\w-]+)/i.exec(text)?.[1] ?? /^[\w-]+$/.exec(text)?.[0];

/** Asks the server. Nothing is yielded where a newer question was asked meanwhile. */
async function question(what, about = token) {
  const mine = ++turn;
  clearTimeout(timer);
  working(true);
  const said = await post(what, about);
  if (mine !== turn) return undefined;
  working(false);
  return said;
}

function working(yes) {
  busy = yes;
  byId("card").setAttribute("aria-busy", String(yes));
  if (!yes) byId("progress").textContent = "";
}

async function post(what, about) {
  try {
    const response = await fetch(`/api/v1/invitations/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token: about }),
      referrerPolicy: "no-referrer",
      credentials: "omit",
      signal: AbortSignal.timeout?.(20_000),
    });
    if (response.ok) return await response.json();
    const wait = Number(response.headers.get("retry-after")) || 5;
    const { reason } = await response.json().catch(() => ({}));
    // A proxy before the server has no reasons.
    return { state: reason ?? ([502, 503, 504].includes(response.status) ? "Unavailable" : "Failed"), wait };
  } catch {
    return { state: "Offline" };
  }
}

/** Asks what the link is worth. */
async function look() {
  again = look;
  const said = await question("inspect");
  if (said) await tell(said);
}

async function tell(said) {
  known = { ...known, wait: 5, ...said };
  await inTheirLanguage(said.locale);
  show(OF_STATE[said.state] ?? "failed");
  if (["TooManyRequests", "Unavailable"].includes(said.state) && again === look && retries-- > 0) {
    // Not everybody at the same moment.
    timer = setTimeout(look, known.wait * 1000 * (1 + Math.random()));
  }
  if (said.state === "Open") {
    // Whoever leaves the page open sees when the time is over. Longer than three weeks no timer runs, and no page.
    const left = new Date(said.expirationTime).getTime() - Date.now();
    if (left > 0 && left < 2 ** 31) timer = setTimeout(look, left + 500);
  }
}

/** Accepts or declines: a button was pressed. */
async function answer(what) {
  if (busy) return;
  again = () => answer(what);
  byId("progress").textContent = plain("sending");
  const said = await question(what);
  if (!said) return;
  // Somebody or the time was ahead: what the link is worth now is for inspect to say, with all that belongs to it.
  const passed = ["Accepted", "Declined", "Expired", "Revoked", "Superseded", "Withdrawn", "PortalInactive"];
  if (passed.includes(said.state) && said.wait) await look();
  else await tell(said);
}

/** Opens the link of the address bar. */
function open() {
  token = tokenOf(location.hash) ?? "";
  [known, retries] = [{}, 5];
  if (token) {
    show("loading");
    look();
  } else {
    turn++; // what an older link was asked for is of no interest any more
    working(false);
    show("paste");
  }
}

// --- Languages ---------------------------------------------------------------------------------------------------------

/** Speaks another language. If its texts cannot be had, the present one goes on. */
async function speak(tag) {
  const url = new URL(`texts/${tag}.json`, own);
  url.search = own.search;
  try {
    const response = await fetch(url, { referrerPolicy: "no-referrer", credentials: "omit" });
    if (!response.ok) return;
    texts = await response.json();
  } catch {
    return;
  }
  document.documentElement.lang = tag;
  byId("language").value = tag;
  document.querySelector("label[for=language]").textContent = plain("choose-language");
}

/** Where the browser asked for no language of ours, the invitation's is the better guess. */
async function inTheirLanguage(theirs) {
  const root = document.documentElement;
  if (!("byChance" in root.dataset) || !theirs) return;
  const tag = theirs.toLowerCase().split("-")[0];
  const ours = [...byId("language").options].map((option) => option.value);
  if (ours.includes(tag) && tag !== root.lang) await speak(tag);
}

byId("language").addEventListener("change", async (event) => {
  delete document.documentElement.dataset.byChance;
  await speak(event.target.value);
  event.target.value = document.documentElement.lang;
  const pasted = byId("code")?.value;
  render();
  if (pasted) byId("code").value = pasted;
});
byId("footer").hidden = false;

window.addEventListener("hashchange", open);
// Asking again needs nobody's press; answering does.
window.addEventListener("online", () => view === "offline" && again === look && look());
open();
