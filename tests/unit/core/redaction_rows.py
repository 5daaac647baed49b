"""What must not survive redaction, and what must: (text, the part that goes), written against the list of shapes."""

import base64
import json

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq1\nabcDEF\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
WORD = "hunter2pw"
HIDDEN = "aHVudGVyMnB3aHVudGVy"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def inner(text: str) -> str:
    """The middle of base64, without the ends that depend on what stands around."""
    return b64(text)[8:40]


A36, A20 = "a1B2" * 9, "aB3x" * 5
TOKENS = [
    *(
        f"{head}{A36}"
        for head in ("gh" + "p_", "gh" + "o_", "gh" + "s_", "gh" + "u_", "gh" + "r_", "np" + "m_", "hf" + "_")
    ),
    *(
        f"{head}-{A20}"
        for head in ("gl" + "pat", "gl" + "dt", "gl" + "rt", "gl" + "ptt", "xox" + "b", "xox" + "p", "xap" + "p")
    ),
    *("github" + "_pat_11ABCDEFG0" + "x" * 59, "xoxe.xox" + "p-1-" + "Mi0yLTg" * 4, "AK" + "IAABCDEFGHIJKLMNOP"),
    *(
        "AI" + "za0123456789abcdefghijklmnopqrstuvwxy",
        "ya" + "29." + "a0AfH6SMBx" * 4,
        "GOC" + "SPX-aBcDeFgHiJkLmNoPqRsTuVwXyZ12",
    ),
    *("abc8" + "Q~" + "dE4_" * 8, "sk" + "_live_4eC39HqLyjWDarjtT1zdp7dc", "rk" + "_test_4eC39HqLyjWDarjtT1zdp7dc"),
    *("wh" + "sec_4eC39HqLyjWDarjtT1zdp7dc4eC39Hq", "py" + "pi-AgEIcHlwaS5vcmc" + A36, "dckr" + "_pat_" + A20 + A20),
    *(
        "SG" + ".aBcDeFgHiJkLmNoPqRsTuV." + "aBcD" * 10,
        "hv" + "s." + A36,
        "sk-" + "proj-" + A36,
        "sk-" + "ant-api03-" + "aB3_-" * 12,
    ),
    *(
        JWT,
        "ir" + "_" + "aB3_" * 11,
        "AGE-SECRET" + "-KEY-1" + "Q" * 58,
        "123456789:" + "AAaBcDeFgHiJkLmNoPqRsTuVwXyZ0123456",
    ),
    *(
        "hooks.slack" + ".com/services/T0000/B0000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "discord" + ".com/api/webhooks/123/aBcDeFgHiJkLmNoPqRsT",
    ),
]
DOCKER = json.dumps({"auths": {"https://r.example": {"username": "u", "password": WORD, "auth": b64(f"u:{WORD}")}}})
KUBECONFIG = (
    "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    server: https://x\nusers:\n- name: admin\n  user:\n"
    f"    token: abc123tokenvalue\n    client-key-data: {b64(PEM)}\n"
)
SECRET = {"apiVersion": "v1", "data": {"url": HIDDEN}, "kind": "Secret"}
BLOCKS = [
    *(
        (text, "MIIEpAIBAAKCAQEA7bq1")
        for text in (PEM, "  tls.key: |\n    " + PEM.replace("\n", "\n    "), json.dumps({"k": PEM}))
    ),
    ("-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n", "b3BlbnNzaC1rZXk"),
    (f"{'MIIEpAIBAAKCAQEA' * 4}\n{'q' * 64}\n-----END RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEAMIIE"),
    ("-----BEGIN PGP " + "PRIVATE KEY BLOCK-----\n\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----", "lQOYBF"),
    *(
        (f"x {b64(text)} y", inner(text))
        for text in (*TOKENS[:1], JWT, PEM, b64(PEM), KUBECONFIG, DOCKER, "postgres://app:hunter2@db:5432/shop")
    ),
    (f".dockerconfigjson: {b64(DOCKER)}", inner(DOCKER)),
    *((DOCKER, part) for part in (WORD, b64(f"u:{WORD}"))),
    *((KUBECONFIG, part) for part in ("abc123tokenvalue", inner(PEM))),
    (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ntype: Opaque\ndata:\n  url: " + HIDDEN + "\n  x: YWJj\n",
        HIDDEN,
    ),
    ("apiVersion: v1\ndata:\n  url: " + HIDDEN + "\nkind: Secret\nmetadata:\n  name: db\n", HIDDEN),
    (f"kind: Secret\nstringData:\n  url: {WORD}\n", WORD),
    (f"kind: Secret\nstringData:\n  url: |\n    a\n    {WORD}\n", WORD),
    *(
        (text, HIDDEN)
        for text in (json.dumps(SECRET), json.dumps(SECRET, indent=2), json.dumps({"a": json.dumps(SECRET)}))
    ),
    (json.dumps({"manifest": f"---\napiVersion: v1\nkind: Secret\ndata:\n  url: {HIDDEN}\n"}), HIDDEN),
    (f"items:\n- apiVersion: v1\n  data:\n    url: {HIDDEN}\n  kind: Secret\n", HIDDEN),
    # folded over lines
    (f"gh{'p_'}{A36[:16]}\n{A36[16:]}", A36[16:]),
    (f"{JWT[:30]}\n{JWT[30:]}", JWT[40:]),
    ("\n".join(b64(PEM * 3)[at : at + 76] for at in range(0, len(b64(PEM * 3)), 76)), b64(PEM * 3)[80:120]),
]
NAMED = [
    (text, WORD)
    for text in (
        *(
            f"{key}{sign}{WORD}"
            for key in ("password", "dbPassword", "DB_PASS", "db_pass", "pwd", "MYSQL_ROOT_PASSWORD")
            for sign in ("=", ": ")
        ),
        *(
            f"{key}={WORD}"
            for key in (
                "SIGNING_KEY",
                "SECRET_KEY_BASE",
                "apikey",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AccountKey",
            )
        ),
        *(
            f"{key}: {WORD}"
            for key in ("encryptionKey", "storageAccountKey", "X-Api-Key", "X-Vault-Token", "clientSecret", "Cookie")
        ),
        *(f"Authorization: {scheme} {WORD}" for scheme in ("Bearer", "token", "ApiKey", "Basic")),
        *(f"curl -H '{header}: {WORD}' https://x" for header in ("Authorization", "X-Api-Key", "Cookie")),
        *(
            f"--{flag}{sign}{WORD}"
            for flag in ("password", "db-password", "token", "docker-password")
            for sign in ("=", " ")
        ),
        *(
            f"password:{tail}"
            for tail in (
                f" |\n  {WORD}\n",
                f" >-\n  {WORD}\nnext: 1",
                f"\n  {WORD}\n",
                f" 'hun {WORD}'",
                f" hun {WORD}",
                f" a,{WORD}",
            )
        ),
        *(f"passwords:{tail}" for tail in (f"\n- x\n- {WORD}\n", f' ["x","{WORD}"]')),
        *(f"postgres://u:{word}@db/x" for word in (WORD, f"a@{WORD}", f"a/{WORD}", f"p%40{WORD}")),
        *(
            f"{text}{WORD}{end}"
            for text, end in (
                ("Server=db;Uid=sa;Pwd=", ";"),
                ("host=db password=", " dbname=x"),
                ("root:", "@tcp(db:3306)/x"),
            )
        ),
        *(
            json.dumps(one)
            for one in (
                {"password": WORD},
                {"a": json.dumps({"password": WORD})},
                {"a": json.dumps({"b": json.dumps({"password": WORD})})},
            )
        ),
        *(
            f"{text}{WORD}{end}"
            for text, end in (
                ("<password>", "</password>"),
                ('<x password="', '"/>'),
                ("{'password': '", "'}"),
                ("map[password:", " user:x]"),
            )
        ),
        *(
            f"- value: {WORD}\n  name: DB_PASSWORD\n",
            f'- name: "DB_PASSWORD"\n  value: "{WORD}"\n',
            f'{{"value":"{WORD}","name":"DB_PASSWORD"}}',
        ),
        *(
            f"args:\n- --db-password\n- {WORD}\n",
            f'"args":["--db-password","{WORD}"]',
            f'[{{"op":"add","path":"/data/password","value":"{WORD}"}}]',
        ),
        *(f"kubectl create secret generic x --from-literal=a={WORD}", f"kubectl set env deploy/web DB_PASSWORD={WORD}"),
        *(
            f"helm upgrade w ./c --set db.password={WORD},a=b",
            f'kubectl patch cm web -p \'{{"data":{{"password":"{WORD}"}}}}\'',
        ),
        *(
            f"curl -u admin:{WORD} https://x",
            f"mysql -u root -p{WORD} db",
            f"password\x1b[0m: {WORD}",
            f"admin:$apr1$abc${WORD}xyz",
        ),
        *(
            f"https://x/?{key}={WORD}&a=1"
            for key in ("token", "api_key", "key", "sig", "X-Amz-Signature", "access_token", "password")
        ),
        *(
            f"https://{WORD * 3}@github.example/x",
            f"jdbc:postgresql://db/x?user=a&password={WORD}",
            f"//registry.example/:_authToken={WORD}",
        ),
        f"_auth={b64('u:' + WORD)}\n{WORD[:0]}",
        *(f"--password '{WORD}'", f'--token "{WORD} x"', f"    Args:\n      --token\n      {WORD}\n    State: x\n"),
        *(f"password: long\n  and {WORD}\nuser: x\n", f"password: 'it''s {WORD}'", f"PASSWORD=abc;{WORD}"),
        f"jdbc:oracle:thin:scott/{WORD}@db:1521:x",
    )
]
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
DESCRIBED = f"""Containers:
  secret-keeper:
    Container ID:  containerd://{DIGEST}
    Image:         r.example/shop/secret-keeper:1.4.2
    Image ID:      r.example/shop/secret-keeper@sha256:{DIGEST}
    Port:          <none>
"""
NAMED_LIKE_SECRETS = [
    *(DESCRIBED, '{"name":"secret-keeper","image":"r.example/secret-keeper:main-1a2b3c"}', "image: token-cache:1.4.2"),
    *(
        f"kubectl set image deploy/secret-keeper secret-keeper={image}"
        for image in ("r.example/secret-keeper:1.4.3", "nginx:1.4.3", f"r.example/x@sha256:{DIGEST}")
    ),
    *("token-refresher: 3 replicas", "token-refresher-7d4b9c6f5d-abcde: CrashLoopBackOff", "secrets-operator: ready"),
    *("Image pull secrets:  regcred", "Mountable secrets:   db", "Data\n====\npassword:  12 bytes\n"),
    'MountVolume.SetUp failed for volume "db-secret" : secret "db" not found',
    "--authorization-mode=Node,RBAC",
]
"""Of objects whose names say "secret", what people need to read."""
KEPT = [
    "image: r/x@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    *(
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "uid: 6b1f3c5e-3a52-4b0e-9d7a-0c6a2f1e9b11",
        "controller-revision-hash: 7c5d9d6f8",
    ),
    *(
        "imagePullSecrets:\n- name: regcred\n",
        "tokens: 3",
        "token bucket full",
        "type: kubernetes.io/service-account-token",
    ),
    *(
        "name: default-token-abcde",
        "automountServiceAccountToken: false",
        "tokenExpirationSeconds: 600",
        "--token-auth-file=/x",
    ),
    *(
        "serviceAccountToken:\n  expirationSeconds: 3607\n  path: token\n",
        "  - mountPath: /var/run/secrets/kubernetes.io/serviceaccount\n",
    ),
    *(
        "secret/db configured",
        "Secret  db  Opaque  2  5d",
        "author: x",
        "primaryKey: id",
        "foreign_key: user_id",
        "monkey: 1",
        "keys: 3",
    ),
    *(
        "basic auth failed",
        "bearer token expired",
        "session: 3",
        "secretRef:\n  name: db",
        "passwordSecretRef:\n  name: x\n  key: y",
    ),
    *(
        "--service-account-private-key-file=/etc/k",
        "SECRET_NAME: db",
        "cert-manager.io/secret-name: x",
        "TokenExpirationSeconds:  3607",
    ),
    *(
        "https://x.svc:8080/a?page=2&sort=key",
        "http://registry:4873/@scope/pkg",
        "git@github.example:x/y",
        "a@b.example",
        "password: ''",
    ),
    *(
        "NAME    READY   STATUS\nweb-6d4cf56db6-x2x9z   1/1   Running\n",
        "web-6d4cf56db6-x2x9z\nweb-6d4cf56db6-y2x9z\napi-7d4cf56db6-z2x9z\n",
    ),
    *(
        "containerd://9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        'resourceVersion: "123456"',
        "bypass: true",
    ),
    *(
        "kind: ConfigMap\ndata:\n  url: http://x\n",
        '"data":{"url":"http://x"},"kind":"ConfigMap"',
        "compass: north",
        "risk-assessment-service-6d4cf56db6",
    ),
    b64("just an ordinary sentence, nothing else in it"),
]
