// Pulls the deliveries that a receiver has missed, in order, and acknowledges them. It keeps the last number in a file.
//
// OUTBOUND_URL, OUTBOUND_TOKEN (a receiver's), RECIPIENT and WEBHOOK_SECRET in the environment; the file as argument.
import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

const { OUTBOUND_URL, OUTBOUND_TOKEN, RECIPIENT, WEBHOOK_SECRET } = process.env;
const file = process.argv[2];
const key = Buffer.from(WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");

async function call(path, body) {
  const response = await fetch(`${OUTBOUND_URL}/v1/recipients/${RECIPIENT}/deliveries${path}`, {
    method: body ? "POST" : "GET",
    headers: { Authorization: `Bearer ${OUTBOUND_TOKEN}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return response.json();
}

function verified(headers, body) {
  const mac = createHmac("sha256", key).update(`${headers["Webhook-Id"]}.${headers["Webhook-Timestamp"]}.`).update(body);
  const want = Buffer.from("v1," + mac.digest("base64"));
  return headers["Webhook-Signature"].split(" ").some((s) => {
    const got = Buffer.from(s);
    return got.length === want.length && timingSafeEqual(got, want);
  });
}

// Here is your own work: what it returns from is done for good.
function handle(delivery, body) {
  console.log(delivery.sequence, delivery.eventId, delivery.state, body.length);
}

let last = existsSync(file) ? readFileSync(file, "utf8").trim() : "0";
for (let more = true; more; ) {
  const page = await call(`:pull?after=${last}&limit=100`);
  for (const delivery of page.deliveries ?? []) {
    const body = Buffer.from(delivery.body ?? "", "base64");
    if (body.length && !verified(delivery.headers, body)) throw new Error(`the signature of delivery ${delivery.sequence} is not valid`);
    handle(delivery, body);
    last = delivery.sequence;
    writeFileSync(file + ".new", last);
    renameSync(file + ".new", file);
  }
  if (page.deliveries?.length) await call(":acknowledge", { through: last });
  more = page.more ?? false;
}
