"use strict";
// Loading this page asks (inspect) and changes nothing. Only a press of a button accepts or declines: programs that scan
// mails open links, and some run scripts.
const element = (id) => document.getElementById(id);
const show = (id, visible) => { element(id).hidden = !visible; };

const stories = {
  Open: "",
  Accepted: "This invitation is accepted. You can go on to the portal.",
  Declined: "This invitation was declined. If that was a mistake, ask whoever invited you to send it again.",
  Expired: "The time for this invitation is over. Ask whoever invited you to send it again.",
  Revoked: "This invitation was withdrawn by whoever sent it. Ask them if you expected it to be valid.",
  Superseded: "A newer mail replaces this link. Use the link of the latest mail.",
  Withdrawn: "This invitation does not exist any more. Ask whoever invited you.",
  PortalInactive: "The portal is switched off at the moment. Try again later, or ask your contact there.",
  AlreadyMember: "This address has an account already. You can go on to the portal.",
  UserSuspended: "The account of this address is not in use. Ask your contact at the portal.",
  NotFound: "This is no invitation's link. Check that it was copied whole, or paste it below.",
  Offline: "The service cannot be reached. Check your connection and try again.",
};

let token = "";

async function ask(what) {
  let response;
  try {
    response = await fetch(`/api/v1/invitations/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token }),
      referrerPolicy: "no-referrer",
    });
  } catch {
    return { state: "Offline" };
  }
  const body = await response.json().catch(() => ({}));
  return response.ok ? body : { state: body.reason || "Offline", detail: body.detail };
}

function tell(answer) {
  const open = answer.state === "Open";
  element("story").textContent = open
    ? answer.portal && answer.portal !== answer.tenant
      ? `You are invited to ${answer.portal} for ${answer.tenant}.`
      : `You are invited to the portal of ${answer.tenant}.`
    : stories[answer.state] || answer.detail || stories.Offline;
  const details = element("details");
  details.replaceChildren();
  const lines = open
    ? [["For", answer.email], ["Invited by", answer.invitedBy], ["Valid until", until(answer.expirationTime)]]
    : [["Contact", answer.contact]];
  for (const [term, text] of lines.filter(([, text]) => text)) {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = text;
    details.append(dt, dd);
  }
  details.hidden = !details.childElementCount;
  element("message").textContent = (open && answer.message) || "";
  show("message", open && Boolean(answer.message));
  show("choice", open);
  show("paste", answer.state === "NotFound");
  if (answer.continueURL && answer.continueURL.startsWith("http")) element("continue").href = answer.continueURL;
  show("onward", Boolean(answer.continueURL) && answer.state === "Accepted");
}

function until(time) {
  if (!time) return "";
  return new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" }).format(new Date(time));
}

async function answer(what) {
  for (const id of ["accept", "decline"]) element(id).disabled = true;
  tell(await ask(what));
  for (const id of ["accept", "decline"]) element(id).disabled = false;
}

async function open(text) {
  token = text.includes("#") ? text.slice(text.indexOf("#") + 1).trim() : text.trim();
  if (!token) {
    tell({ state: "NotFound" });
    return;
  }
  tell(await ask("inspect"));
}

element("accept").addEventListener("click", () => answer("accept"));
element("decline").addEventListener("click", () => answer("decline"));
element("paste").addEventListener("submit", (event) => {
  event.preventDefault();
  open(element("code").value);
});
window.addEventListener("hashchange", () => open(location.hash));
open(location.hash);
