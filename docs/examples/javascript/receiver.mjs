// Receiver is an example of a program behind a recipient's URL with format FORM. It verifies each request with an official library,
// prints the event and answers 200.
//
//   npm ci && WEBHOOK_SECRET=whsec_... node receiver.mjs 9000
//
// LIBRARY=svix verifies with svix (2.0 or newer) instead of standardwebhooks.
import { createServer } from "node:http";

const { Webhook } = await import(process.env.LIBRARY ?? "standardwebhooks");
const webhook = new Webhook(process.env.WEBHOOK_SECRET);

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8"); // as received: what is signed
  try {
    // Without jsonParse: false the library parses the body as JSON after verifying it, and throws: a form is no JSON.
    webhook.verify(body, request.headers, { jsonParse: false });
  } catch (error) {
    response.writeHead(401).end(String(error));
    return;
  }
  const event = new URLSearchParams(body);
  console.log(JSON.stringify({ id: request.headers["webhook-id"], ...Object.fromEntries(event) }));
  response.writeHead(200).end();
});

server.listen(Number(process.argv[2] ?? 9000), "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}/`));
