"""Pulls the deliveries that a receiver has missed, in order, and acknowledges them. It keeps the last number in a file.

OUTBOUND_URL, OUTBOUND_TOKEN (a receiver's), RECIPIENT and WEBHOOK_SECRET in the environment; the file as argument.
"""
import base64, hashlib, hmac, json, os, sys, urllib.request

BASE = f"{os.environ['OUTBOUND_URL']}/v1/recipients/{os.environ['RECIPIENT']}/deliveries"
KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))


def call(path, body=None):
    request = urllib.request.Request(BASE + path, data=json.dumps(body).encode() if body else None, headers={
        "Authorization": "Bearer " + os.environ["OUTBOUND_TOKEN"], "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def verified(headers, body):
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    want = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(want, got) for got in headers["Webhook-Signature"].split(" "))


def handle(delivery, body):
    """Here is your own work: what it returns from is done for good."""
    print(delivery["sequence"], delivery["eventId"], delivery["state"], len(body), flush=True)


def main(file):
    last = int(open(file).read()) if os.path.exists(file) else 0
    more = True
    while more:
        page = call(f":pull?after={last}&limit=100")
        for delivery in page.get("deliveries", []):
            body = base64.b64decode(delivery.get("body", ""))
            if body and not verified(delivery["headers"], body):
                sys.exit(f"the signature of delivery {delivery['sequence']} is not valid")
            handle(delivery, body)
            last = int(delivery["sequence"])
            with open(file + ".new", "w") as f:
                f.write(str(last))
            os.replace(file + ".new", file)
        if page.get("deliveries"):
            call(":acknowledge", {"through": last})
        more = page.get("more", False)


main(sys.argv[1])
