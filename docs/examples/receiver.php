<?php
// Receiver is an example of a program behind a recipient's URL with format FORM. It verifies each request, and answers 200 with the
// event's variables and who has signed in, in JSON.
//
//   WEBHOOK_SECRET=whsec_... php -S 127.0.0.1:9000 docs/examples/receiver.php

function verify(string $secret, string $body): bool {
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? ''; $stamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (abs(time() - (int)$stamp) > 300) return false;
    $want = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$stamp.$body", $key, true));
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $got) {
        if (hash_equals($want, $got)) return true;
    }
    return false;
}

// variables are those of a form by their own names. $_POST has "customer.name" as "customer_name".
function variables(string $body): array {
    $out = [];
    foreach (explode('&', $body) as $pair) {
        [$name, $value] = explode('=', $pair, 2) + [1 => ''];
        $out[urldecode($name)] = urldecode($value);
    }
    return $out;
}

$body = file_get_contents('php://input');
if (!verify(getenv('WEBHOOK_SECRET'), $body)) {
    http_response_code(401);
    exit('the signature is not valid');
}
header('Content-Type: application/json');
echo json_encode([
    'variables' => variables($body),
    'post' => $_POST,
    // With PHP-FPM and CGI behind Apache this is empty, unless CGIPassAuth is On (or SetEnvIf passes it on).
    'authorization' => $_SERVER['HTTP_AUTHORIZATION'] ?? '',
]);
