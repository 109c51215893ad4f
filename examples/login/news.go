package main

// article is a news item.
type article struct {
	Date  string `json:"date"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

var articles = []article{
	{"11月22日", "会话住进了 Cookie", "登录状态经过加密和签名,保存在您自己的浏览器里;服务器不存任何会话。"},
	{"11月20日", "重启也不会掉线", "关掉服务器再打开,或者换一台使用同一密钥文件的服务器,您仍然处于登录状态。"},
	{"11月18日", "改动一个字符就会失效", "Cookie 里任何一个字符被改动,签名便对不上,会话当作不存在,但页面不会报错。"},
}
