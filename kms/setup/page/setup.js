"use strict";
// The set-up page: everything it shows is text, everything it does is one call with the token.
const at = (id) => document.getElementById(id);
const show = (id) => ["enter", "what", "done", "end"].forEach((s) => { at(s).hidden = s !== id; });
let token = "";

function fail(error) {
  at("error").textContent = error.message;
  at("error").hidden = false;
}

async function ask(path, body) {
  at("error").hidden = true;
  const answer = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: { "X-Admin-Token": token, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  if (answer.ok) return text;
  let why = text;
  try {
    const said = JSON.parse(text);
    why = said.error + (said.code ? " (" + said.code + ")" : "");
  } catch (_) { /* as it came */ }
  throw new Error(why || "HTTP status " + answer.status);
}
const call = async (method, body) => JSON.parse(await ask("/prpc/Onboard." + method + "?json", body));

function row(name, value) {
  const tr = document.createElement("tr"), th = document.createElement("th"), td = document.createElement("td");
  th.textContent = name;
  td.textContent = value || "–";
  tr.append(th, td);
  return tr;
}

function on(id, event, fn) {
  at(id).addEventListener(event, (e) => {
    e.preventDefault();
    const buttons = document.querySelectorAll("button");
    buttons.forEach((b) => { b.disabled = true; });
    fn().catch(fail).finally(() => buttons.forEach((b) => { b.disabled = false; }));
  });
}

function done(result) {
  const hex = {};
  for (const [k, v] of Object.entries(result)) hex[k] = "0x" + v;
  at("result").textContent = JSON.stringify(hex, null, 2);
  show("done");
}

on("token-form", "submit", async () => {
  token = at("token").value.trim();
  const names = { site_name: "Site", tee_variant: "TEE", ppid: "Platform id", device_id: "Device id",
    mr_aggregated: "Aggregated measurement", os_image_hash: "OS image", eth_rpc_url: "Chain",
    kms_contract_address: "KMS contract" };
  let info = {};
  try {
    info = await call("GetAttestationInfo", {});
  } catch (e) {
    if (/unauthorized/.test(e.message)) throw e;
    fail(e);
  }
  at("info").replaceChildren(...Object.entries(names).map(([k, n]) => row(n, info[k])));
  show("what");
});
on("bootstrap", "submit", async () => done(await call("Bootstrap", { domain: at("domain").value.trim() })));
on("onboard", "submit", async () =>
  done(await call("Onboard", { source_url: at("source").value.trim(), domain: at("name").value.trim() })));
on("finish", "click", async () => {
  await ask("/finish");
  show("end");
});
