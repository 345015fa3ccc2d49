"""chat_tokens.py FOLDER TEXTS.json OUT.json: the ids that Transformers' tokenizer of a folder gives each text, and each text as a
conversation by the model's own chat template."""

import sys

from shared import read_json, write_json
from transformers import PreTrainedTokenizerFast

folder, texts, out = sys.argv[1:]
# As tokenizer.json has it. Transformers 5 makes LlamaTokenizer, which Yi's configuration names, from the vocabulary alone, and puts a
# space before each text, which the file does not.
tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)


def chat(text):
    messages = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


write_json(
    out,
    [
        dict(
            text=text,
            ids=tokenizer.encode(text, add_special_tokens=False),
            conversation=tokenizer.encode(chat(text), add_special_tokens=False),
            decoded=tokenizer.decode(
                tokenizer.encode(text, add_special_tokens=False),
                skip_special_tokens=True,
                clean_up_tokenization_spaces=False,
            ),
        )
        for text in read_json(texts)
    ],
)
