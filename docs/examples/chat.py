import os

from openai import OpenAI

client = OpenAI(base_url="http://localhost:3000/v1", api_key=os.environ["MATRIX_API_KEY"])
answer = client.chat.completions.create(
    model="smollm2-135m", messages=[{"role": "user", "content": "Say hello"}], max_tokens=40
)
print(answer.choices[0].message.content)
