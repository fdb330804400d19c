"""Keys are found by their form and their randomness; code that only speaks of passwords is left alone."""

from __future__ import annotations

import base64
import random
import string

import pytest

from core.code_index import secrets

RANDOM = random.Random(11)


def some(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(letters, k=length))


BODY = base64.b64encode(RANDOM.randbytes(300)).decode()
HEX = "0123456789abcdef"
SECRETS = [
    ("private key", f"-----BEGIN RSA PRIVATE KEY-----\n{BODY[:64]}\n{BODY[64:128]}\n-----END RSA PRIVATE KEY-----\n"),
    ("private key", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY[:70]}\n"),
    ("private key", f"-----BEGIN PRIVATE KEY-----\\n{BODY[:64]}\\n"),
    ("private key", f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,99\n\n{BODY[:64]}\n"),
    ("AWS access key", f"aws = AKIA{some(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}"),
    ("GitHub token", f"git clone https://ghp_{some(36)}@github.com/x"),
    ("GitHub token", f"github_pat_{some(82)}"),
    ("Slack token", f"xoxb-{some(12, string.digits)}-{some(24)}"),
    ("Google key", f"AIza{some(35)}"),
    ("Stripe key", f"sk_live_{some(24)}"),
    ("Anthropic key", f"sk-ant-api03-{some(90)}"),
    ("OpenAI key", f"sk-proj-{some(48)}"),
    ("Hugging Face token", f"hf_{some(34)}"),
    ("npm token", f"//registry.npmjs.org/:_x=npm_{some(36)}"),
    ("Azure key", f"AccountKey={base64.b64encode(RANDOM.randbytes(64)).decode()}"),
    ("value of a key", f'API_KEY = "{some(32)}"'),
    ("value of a key", f"const apiKey = '{some(40, HEX)}';"),
    ("value of a key", f'"client_secret": "{some(28)}",'),
    ("value of a key", f"export ACCESS_TOKEN={some(40)}"),
    ("value of a key", f"  db_password: {some(24)}\n"),
    ("value of a key", f'SECRET_KEY = "{some(50, string.ascii_letters + string.digits + "!@#%^&*")}"'),
    ("value of a key", f"auth.token := `{some(36)}`"),
]
INNOCENT = [
    'password = "changeme"', "password = input('Password: ')", "def check(password: str, token: str) -> bool:",
    "if password != other_password:", 'API_KEY = "your-api-key-goes-here-1234"',
    'api_key = "xxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
    'SECRET_KEY = os.environ["DJANGO_SECRET_KEY_2_PRODUCTION"]', "token = settings.SOME_VERY_LONG_TOKEN_NAME_2",
    'token_url = "https://auth.example.org/oauth2/v2/token/request"', 'API_KEY = "AKIAIOSFODNN7EXAMPLE"',
    "aws_access_key_id = AKIAIOSFODNN7EXAMPLE", 'secret = "correct-horse-battery-staple-99"', 'token = "0" * 40',
    'if "-----BEGIN PRIVATE KEY-----" in text:', "PRIVATE_KEY = re.compile(r'-----BEGIN [A-Z ]*PRIVATE KEY-----')",
    'access_token_lifetime = "ACCESS_TOKEN_LIFETIME_SECONDS_V2"',
    'audio_tokenizer_class = "HiggsAudioV2TokenizerModel"',
    "private_key: x25519.X25519PrivateKey", 'passwordResetTemplate = "registration/password_reset_email_v2.html"',
    'TOKEN = "11111111111111111111111111111111"', 'key = "abcdefghijklmnopqrstuvwxyz0123456789"',
    "ghp_short", "sk-learn-contrib",
    "token = tokenizer.encode(text)[0:10000000000000]", 'secret: "$' + '{{ secrets.DEPLOY_TOKEN_2 }}"',
    'commit = "3f786850e387550fdab836ed7e6dc881de23001b"', "-----BEGIN PUBLIC KEY-----\n" + BODY[:64],
]  # fmt: skip


@pytest.mark.parametrize(("title", "text"), SECRETS)
def test_a_secret_is_found_and_not_repeated(title: str, text: str) -> None:
    data = f"first = 1\n\n{text}\nlast = 2\n".encode()
    assert secrets.found_in([b"", data, b"x = 1", data]) == {1: f"line 3: {title}", 3: f"line 3: {title}"}
    assert secrets.by_content(data) == f"line 3: {title}"


@pytest.mark.parametrize("text", INNOCENT)
def test_ordinary_code_holds_no_secret(text: str) -> None:
    assert secrets.by_content(f"import x\n{text}\n".encode()) == ""


def test_random_keys_are_found_nearly_always() -> None:
    made = [f'api_key = "{some(32)}"'.encode() for _ in range(300)] + [
        f'token: "{some(40, HEX)}"'.encode() for _ in range(300)
    ]
    assert sum(bool(secrets.by_content(data)) for data in made) >= 590


@pytest.mark.parametrize("path", [
    ".env", "sub/.env", ".env.production", "prod.env", "id_rsa", "keys/id_ed25519", "x.p12", "x.jks", ".netrc",
    "infra/terraform.tfstate", ".aws/credentials", "a/config/master.key",
])  # fmt: skip
def test_files_that_are_secrets_by_name(path: str) -> None:
    assert secrets.by_name(path)


@pytest.mark.parametrize("path", [
    ".env.example", ".env.sample", "env.py", "environment.env.ts", "id_rsa.pub", "id_rsa.py", "cert.pem", "password.py",
    "secrets.py", "credentials.go", "config/master.py", "src/env.d.ts",
])  # fmt: skip
def test_files_that_are_none_by_name(path: str) -> None:
    assert not secrets.by_name(path)
